// kernel_attention.cpp - causal attention over pages with an online softmax.
//
//   transformer.paged_attention %qkv, %positions, %sequences, %tables, %k, %v
//
//   for each head and group of four rows              shared among threads
//     m = -inf, l = 0, o[head_dim] = 0                for each row
//     pages that are whole and past for all four:     one look at K and V
//       page(4 rows)
//     for each row, the pages that are left:
//       page(1 row), places beyond positions[t] masked
//     out = o / l
//
//   page:  s[page_size] = q . K^T * scale             one vector: keys are
//          m' = max(m, max(s))                        transposed
//          p = exp(s - m'),  c = exp(m - m')
//          l = l c + sum(p),  o = o c + p . V
//
// The recurrence is the online softmax of Milakov and Gimelshein (2018), in the
// form FlashAttention uses it: one pass over K and V, no [T, T] matrix. A row's
// result depends on its query, its position and its own pages: four rows at
// once do, each for itself, what one row does alone, in the same order. That is
// why chunking and batching change no bit.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/bit.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

/// The partial sums of a dot product over head_dim: four independent chains
/// keep the FMA units busy. The number is part of the order of summation:
/// fixed.
constexpr int64_t kChains = 4;

/// Rows that look at a page together.
constexpr int64_t kGroup = 4;

/// One row's place in the buffers.
struct Row {
  Value row, column; // its query is qkv[row, column ...]
};

struct AttentionKernel : Kernel<PagedAttentionOp> {
  using Kernel::Kernel;

  // [groups]
  void emit(KernelBuilder &b, PagedAttentionOp op) const override {
    int64_t heads = op.getKeys().getType().getDimSize(1);
    Value rows = b.dim(op.getPositions(), 0);
    Value groups = b.floorDiv(b.add(rows, b.index(kGroup - 1)), kGroup);
    Value all = b.mul(groups, heads);
    b.parallel(b.index(0), all, [&](Value i) {
      Value head = arith::DivUIOp::create(b, i, groups);
      Value first = b.mul(arith::RemUIOp::create(b, i, groups), kGroup);
      group(b, op, head, first, rows);
    });
  }
  // [/groups]

private:
  int64_t headSize(PagedAttentionOp op) const {
    return op.getKeys().getType().getDimSize(2);
  }
  int64_t pageSize(PagedAttentionOp op) const {
    return op.getKeys().getType().getDimSize(3);
  }

  /// One head of up to four rows from `first` on.
  void group(KernelBuilder &b, PagedAttentionOp op, Value head, Value first,
             Value rows) const {
    int64_t D = headSize(op), P = pageSize(op);
    Value column = b.mul(head, D);
    Value states = b.stackBuffer({kGroup, D + 2}, b.getF32Type());
    Value weights = b.stackBuffer({kGroup, P}, b.getF32Type());
    Value left = arith::SubIOp::create(b, rows, first);
    Value count = arith::MinUIOp::create(b, left, b.index(kGroup));
    auto lengthOf = [&](Value row) {
      return b.add(b.loadIndex(op.getPositions(), row), b.index(1));
    };

    b.loop(b.index(0), count, 1,
           [&](Value r) { keep(b, op, states, r, start(b, D)); });
    auto together = scf::IfOp::create(b, TypeRange{b.getIndexType()},
                                      b.equal(count, b.index(kGroup)), true);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(together.thenBlock());
      // Whole pages in the past of all four, if they are of one sequence.
      Value sequence = b.loadIndex(op.getSequences(), first);
      Value shared = b.floorDiv(lengthOf(first), P);
      SmallVector<Row> four = {{first, column}};
      for (int64_t r = 1; r < kGroup; ++r) {
        Value row = b.add(first, b.index(r));
        Value pages = b.floorDiv(lengthOf(row), P);
        Value same = b.equal(b.loadIndex(op.getSequences(), row), sequence);
        shared = arith::MinUIOp::create(b, shared,
                                        b.select(same, pages, b.index(0)));
        four.push_back({row, column});
      }
      pages(b, op, four, b.index(0), shared, sequence, head, Value(), states,
            b.index(0), weights);
      scf::YieldOp::create(b, shared);
      b.setInsertionPointToStart(together.elseBlock());
      scf::YieldOp::create(b, b.index(0));
    }
    Value seen = together.getResult(0);

    b.loop(b.index(0), count, 1, [&](Value r) {
      Row row{b.add(first, r), column};
      Value length = lengthOf(row.row);
      Value end = b.floorDiv(b.add(length, b.index(P - 1)), P);
      pages(b, op, row, seen, end, b.loadIndex(op.getSequences(), row.row),
            head, length, states, r, weights);
      finish(b, op, row, recall(b, op, states, r));
    });
  }

  /// Takes the states of some rows through pages `begin` to `end`. `length`
  /// masks what is beyond it; without, all places of the pages are past.
  void pages(KernelBuilder &b, PagedAttentionOp op, ArrayRef<Row> rows,
             Value begin, Value end, Value sequence, Value head, Value length,
             Value states, Value firstState, Value weights) const {
    Values carried;
    for (size_t r = 0; r < rows.size(); ++r)
      carried.append(recall(b, op, states, b.add(firstState, b.index(r))));
    size_t width = carried.size() / rows.size();
    carried = b.loop(begin, end, 1, carried, [&](Value p, ValueRange now) {
      Value page = b.loadIndex(op.getTables(), {sequence, p});
      Value valid =
          length ? arith::SubIOp::create(b, length, b.mul(p, pageSize(op)))
                       .getResult()
                 : Value();
      Values s = scores(b, op, rows, page, head);
      return onlineSoftmax(b, op, s, valid, page, head, weights, now);
    });
    for (size_t r = 0; r < rows.size(); ++r)
      keep(b, op, states, b.add(firstState, b.index(r)),
           ArrayRef<Value>(carried).slice(r * width, width));
  }

  /// A row's state in memory: m, l, o.
  void keep(KernelBuilder &b, PagedAttentionOp op, Value states, Value r,
            ArrayRef<Value> state) const {
    memref::StoreOp::create(b, state[0], states, ValueRange{r, b.index(0)});
    memref::StoreOp::create(b, state[1], states, ValueRange{r, b.index(1)});
    for (auto [i, part] : llvm::enumerate(pieces(headSize(op))))
      b.store(state[2 + i], states, {r, b.index(2 + part.first)});
  }
  Values recall(KernelBuilder &b, PagedAttentionOp op, Value states,
                Value r) const {
    Values state;
    for (int64_t i : {0, 1})
      state.push_back(
          memref::LoadOp::create(b, states, ValueRange{r, b.index(i)}));
    for (auto [at, lanes] : pieces(headSize(op)))
      state.push_back(b.load(states, {r, b.index(2 + at)}, lanes));
    return state;
  }

  /// The pieces of head_dim that one vector holds: whole vectors and a rest.
  SmallVector<std::pair<int64_t, int64_t>> pieces(int64_t headSize) const {
    SmallVector<std::pair<int64_t, int64_t>> result;
    for (int64_t at = 0; at < headSize; at += tile.lanes)
      result.push_back({at, std::min(tile.lanes, headSize - at)});
    return result;
  }

  // [state]
  /// m = -inf, l = 0, o = 0.
  Values start(KernelBuilder &b, int64_t headSize) const {
    Values state = {b.f32(-std::numeric_limits<float>::infinity()), b.f32(0)};
    for (auto [at, lanes] : pieces(headSize))
      state.push_back(b.splat(b.f32(0), lanes));
    return state;
  }
  // [/state]

  // [scores]
  /// s[j] = scale * sum over d of q[d] * K[page, head, d, j], for each row.
  Values scores(KernelBuilder &b, PagedAttentionOp op, ArrayRef<Row> rows,
                Value page, Value head) const {
    int64_t D = headSize(op), P = pageSize(op), R = rows.size();
    /// sums[c, r] += q[d + c] * K[d + c], for some chains
    auto accumulate = [&](Value d, int64_t chains, ValueRange sums) {
      Values next;
      for (int64_t c = 0; c < chains; ++c) {
        Value at = b.add(d, b.index(c));
        Value k = b.load(op.getKeys(), {page, head, at, b.index(0)}, P);
        for (int64_t r = 0; r < R; ++r) {
          Value q = memref::LoadOp::create(
              b, op.getQkv(),
              ValueRange{rows[r].row, b.add(rows[r].column, at)});
          next.push_back(b.fma(b.splat(q, P), k, sums[c * R + r]));
        }
      }
      return next;
    };
    // As many chains at a time as there are registers for.
    int64_t registers = tile.lanes == 16 ? 16 : 8;
    int64_t each = R * ((P + tile.lanes - 1) / tile.lanes);
    int64_t chains = std::clamp<int64_t>(
        llvm::bit_floor<uint64_t>(std::max<int64_t>(registers / each, 1)), 1,
        kChains);
    int64_t whole = D / kChains * kChains;
    Values sums;
    for (int64_t c = 0; c < kChains; c += chains) {
      Values some(chains * R, b.splat(b.f32(0), P));
      if (whole)
        some = b.loop(b.index(c), b.index(whole), kChains, some,
                      [&](Value d, ValueRange carried) {
                        return accumulate(d, chains, carried);
                      });
      sums.append(some);
    }
    for (int64_t d = whole; d < D; ++d) {
      auto chain = MutableArrayRef<Value>(sums).slice((d % kChains) * R, R);
      Values next = accumulate(b.index(d), 1, ValueRange(chain));
      llvm::copy(next, chain.begin());
    }
    Value scale = b.splat(b.f32(1.0 / std::sqrt(double(D))), P);
    Values s;
    for (int64_t r = 0; r < R; ++r) {
      auto add = [&](Value x, Value y) -> Value {
        return arith::AddFOp::create(b, x, y);
      };
      s.push_back(arith::MulFOp::create(
          b,
          add(add(sums[r], sums[R + r]), add(sums[2 * R + r], sums[3 * R + r])),
          scale));
    }
    return s;
  }
  // [/scores]

  // [online]
  /// One page into (m, l, o) of each row. The first `valid` places of the page,
  /// at least one, are the row's past; what lies in the others is never used.
  Values onlineSoftmax(KernelBuilder &b, PagedAttentionOp op, Values s,
                       Value valid, Value page, Value head, Value weights,
                       ValueRange state) const {
    int64_t P = pageSize(op), R = s.size(), width = state.size() / R;
    auto parts = pieces(headSize(op));
    Values next(state.begin(), state.end());
    Value end = b.index(P), mask;
    if (valid) {
      end = arith::MinUIOp::create(b, valid, end);
      mask = vector::CreateMaskOp::create(
          b, VectorType::get({P}, b.getI1Type()), ValueRange{valid});
    }
    auto masked = [&](Value v, double otherwise) {
      return mask ? b.select(mask, v, b.splat(b.f32(otherwise), P)) : v;
    };
    for (int64_t r = 0; r < R; ++r) {
      auto old = state.slice(r * width, width);
      Value scores = masked(s[r], -std::numeric_limits<float>::infinity());
      // [renew]
      Value m = b.max(old[0], b.maximum(scores));
      Value p = math::ExpOp::create(
          b, arith::SubFOp::create(b, scores, b.splat(m, P)));
      p = masked(p, 0);
      Value correction =
          math::ExpOp::create(b, arith::SubFOp::create(b, old[0], m));
      Value l = arith::AddFOp::create(
          b, arith::MulFOp::create(b, old[1], correction), b.sum(p));
      // [/renew]
      b.store(p, weights, {b.index(r), b.index(0)});
      next[r * width] = m;
      next[r * width + 1] = l;
      for (auto [i, part] : llvm::enumerate(parts))
        next[r * width + 2 + i] = arith::MulFOp::create(
            b, old[2 + i], b.splat(correction, part.second));
    }
    // o += sum over j of p[j] * V[page, head, j], some parts of o at a time.
    int64_t atOnce = std::max<int64_t>(1, (tile.lanes == 16 ? 16 : 8) / R);
    for (size_t first = 0; first < parts.size(); first += atOnce) {
      auto some = ArrayRef(parts).slice(
          first, std::min<size_t>(atOnce, parts.size() - first));
      Values o;
      for (int64_t r = 0; r < R; ++r)
        for (size_t i = 0; i < some.size(); ++i)
          o.push_back(next[r * width + 2 + first + i]);
      o = b.loop(b.index(0), end, 1, o, [&](Value j, ValueRange now) {
        Values v, sums;
        for (auto [at, lanes] : some)
          v.push_back(
              b.load(op.getValues(), {page, head, j, b.index(at)}, lanes));
        for (int64_t r = 0; r < R; ++r) {
          Value p =
              memref::LoadOp::create(b, weights, ValueRange{b.index(r), j});
          for (size_t i = 0; i < some.size(); ++i)
            sums.push_back(b.fma(b.splat(p, some[i].second), v[i],
                                 now[r * some.size() + i]));
        }
        return sums;
      });
      for (int64_t r = 0; r < R; ++r)
        for (size_t i = 0; i < some.size(); ++i)
          next[r * width + 2 + first + i] = o[r * some.size() + i];
    }
    return next;
  }
  // [/online]

  /// out[row, head] = o / l
  void finish(KernelBuilder &b, PagedAttentionOp op, Row row,
              ValueRange state) const {
    for (auto [i, part] : llvm::enumerate(pieces(headSize(op)))) {
      auto [at, lanes] = part;
      Value out =
          arith::DivFOp::create(b, state[2 + i], b.splat(state[1], lanes));
      b.store(out, op.getOut(), {row.row, b.add(row.column, b.index(at))});
    }
  }
};

} // namespace

void populateAttentionKernel(RewritePatternSet &patterns, Tile tile,
                             bool threads) {
  patterns.add<AttentionKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14
