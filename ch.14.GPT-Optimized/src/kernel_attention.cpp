// kernel_attention.cpp - causal attention over pages with an online softmax.
//
//   transformer.paged_attention %qkv, %positions, %sequences, %tables, %k, %v
//
//   for each head and group of rows                   shared among threads
//     m = -inf, l = 0, o[head_dim] = 0                of each row
//     for each block of pages, as far as the longest past goes:
//       s[row, place] = q . K^T * scale               one look at K for all
//       for each row, places beyond positions[t] masked:
//         m' = max(m, max(s)),  p = exp(s - m'),  c = exp(m - m')
//         l = l c + sum(p),  o = o c
//       o = o + p . V                                 one look at V for all
//     out = o / l
//
// A group is some rows of one sequence; rows that are not are taken singly.
// The recurrence is the online softmax of Milakov and Gimelshein (2018), in the
// form FlashAttention uses it: one pass over K and V, no [T, T] matrix. A row's
// result depends on its query, its position and its own pages: the rows of a
// group do, each for itself, what one row does alone, in the same order. That
// is why chunking and batching change no bit.
#include "ch14/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace mlir;
using namespace transformer;

namespace ch14 {

/// Keys to one step of the recurrence: the whole pages that they make, or one.
/// The number is part of the order of summation: fixed.
static constexpr int64_t kBlock = 64;

Attention::Attention(KernelBuilder &b, PagedAttentionOp op)
    : b(b), op(op), H(op.getKeys().getType().getDimSize(1)),
      D(op.getKeys().getType().getDimSize(2)),
      P(op.getKeys().getType().getDimSize(3)),
      N(std::max<int64_t>(kBlock / P, 1)),
      registers(b.tile.rows * b.tile.columns / b.tile.lanes),
      vectors(llvm::divideCeil(P, b.tile.lanes)),
      G(std::clamp<int64_t>(registers / vectors, 1, b.tile.rows)) {
  for (int64_t at = 0; at < D; at += b.tile.lanes)
    pieces.push_back({at, std::min(b.tile.lanes, D - at)});
}

// [groups]
void Attention::emit() {
  Value rows = b.dim(op.getPositions(), 0);
  Value groups = b.floorDiv(b.add(rows, b.index(G - 1)), G);
  b.parallel(b.index(0), b.mul(groups, H), [&](Value i) {
    head = arith::DivUIOp::create(b, i, groups);
    column = b.mul(head, D);
    first = b.mul(arith::RemUIOp::create(b, i, groups), G);
    group(b.smaller(b.sub(rows, first), b.index(G)));
  });
}
// [/groups]

// [group]
/// `count` rows, at most G, through all of their pasts.
void Attention::group(Value count) {
  Type f32 = b.getF32Type();
  maxima = b.stackBuffer({G}, f32);
  sums = b.stackBuffer({G}, f32);
  weights = b.stackBuffer({G, 2 * N * P}, f32);

  // Are they G rows of one sequence?
  Value together = b.equal(count, b.index(G));
  Value sequence = sequenceOf(b.index(0));
  Value shortest = lengthOf(b.index(0)), longest = shortest;
  for (int64_t i = 1; i < G; ++i) {
    Value r = b.smaller(b.index(i), b.sub(count, b.index(1)));
    together =
        arith::AndIOp::create(b, together, b.equal(sequenceOf(r), sequence));
    shortest = b.smaller(shortest, lengthOf(r));
    longest = b.larger(longest, lengthOf(r));
  }

  auto eachRow = [&](KernelBuilder::Body body) {
    b.loop(b.index(0), count, 1, body);
  };
  eachRow([&](Value r) { start(r); });
  b.loop(b.index(0), longest, N * P, [&](Value begin) {
    /// How many places of this block hold the past of so many tokens.
    auto placesOf = [&](Value length) {
      Value left = b.sub(b.larger(length, begin), begin);
      return b.smaller(left, b.index(N * P));
    };
    auto one = [&](Value r) {
      return Block{sequenceOf(r), b.floorDiv(begin, P), placesOf(lengthOf(r))};
    };
    Block all{sequence, b.floorDiv(begin, P), placesOf(longest)};
    b.branch(
        together, [&] { scores(all, b.index(0), G); },
        [&] { eachRow([&](Value r) { scores(one(r), r, 1); }); });
    eachRow([&](Value r) { softmax(r, one(r).places); });
    Value same = b.equal(placesOf(shortest), all.places);
    b.branch(
        arith::AndIOp::create(b, together, same),
        [&] { mix(all, b.index(0), G); },
        [&] { eachRow([&](Value r) { mix(one(r), r, 1); }); });
  });
  eachRow([&](Value r) { finish(r); });
}
// [/group]

namespace {

struct AttentionKernel : Kernel<PagedAttentionOp> {
  using Kernel::Kernel;
  void emit(KernelBuilder &b, PagedAttentionOp op) const override {
    Attention(b, op).emit();
  }
};

} // namespace

void populateAttentionKernel(RewritePatternSet &patterns, Tile tile,
                             bool threads) {
  patterns.add<AttentionKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14
