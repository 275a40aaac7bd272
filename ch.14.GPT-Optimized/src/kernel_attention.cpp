// kernel_attention.cpp - causal attention over pages with an online softmax.
//
//   transformer.paged_attention %qkv, %positions, %sequences, %tables, %k, %v
//
//   for each head, for each row t:
//     m = -inf, l = 0, o[head_dim] = 0
//     for each page of the row's sequence, in order:
//       s[page_size] = q . K^T * scale           one vector: keys are
//       transposed s = -inf beyond positions[t]             the causal mask m'
//       = max(m, max(s)),  p = exp(s - m'),  c = exp(m - m') l = l c + sum(p),
//       o = o c + p . V
//     out = o / l
//
// The recurrence is the online softmax of Milakov and Gimelshein (2018), in the
// form FlashAttention uses it: one pass over K and V, no [T, T] matrix. A row's
// result depends on its query, its position and its own pages. Nothing about
// the batch enters: that is why chunking and batching change no bit.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
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

struct AttentionKernel : Kernel<PagedAttentionOp> {
  using Kernel::Kernel;

  void emit(KernelBuilder &b, PagedAttentionOp op) const override {
    auto keys = op.getKeys().getType();
    int64_t heads = keys.getDimSize(1), headSize = keys.getDimSize(2),
            pageSize = keys.getDimSize(3);
    Value weights = scratch(b, op, pageSize);

    b.loop(b.index(0), b.index(heads), 1, [&](Value head) {
      b.loop(b.index(0), b.dim(op.getPositions(), 0), 1, [&](Value row) {
        Value column = b.mul(head, headSize);
        Value sequence = b.loadIndex(op.getSequences(), row);
        Value length = b.add(b.loadIndex(op.getPositions(), row), b.index(1));
        Value pages =
            b.floorDiv(b.add(length, b.index(pageSize - 1)), pageSize);

        Values state = start(b, headSize);
        state = b.loop(
            b.index(0), pages, 1, state, [&](Value p, ValueRange carried) {
              Value page = b.loadIndex(op.getTables(), {sequence, p});
              Value valid =
                  arith::SubIOp::create(b, length, b.mul(p, pageSize));
              Value s = scores(b, op, row, column, page, head);
              return onlineSoftmax(b, op, s, valid, page, head, weights,
                                   carried);
            });
        finish(b, op, row, column, headSize, state);
      });
    });
  }

private:
  /// Room for one page's probabilities, allocated once on the function's stack.
  static Value scratch(KernelBuilder &b, PagedAttentionOp op,
                       int64_t pageSize) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(
        &op->getParentOfType<FunctionOpInterface>().getFunctionBody().front());
    return memref::AllocaOp::create(b,
                                    MemRefType::get({pageSize}, b.getF32Type()),
                                    b.getI64IntegerAttr(64));
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
  /// s[j] = scale * sum over d of q[d] * K[page, head, d, j].
  Value scores(KernelBuilder &b, PagedAttentionOp op, Value row, Value column,
               Value page, Value head) const {
    auto keys = op.getKeys().getType();
    int64_t headSize = keys.getDimSize(2), pageSize = keys.getDimSize(3);
    auto accumulate = [&](Value d, Value sum) {
      Value q = memref::LoadOp::create(b, op.getQkv(),
                                       ValueRange{row, b.add(column, d)});
      Value k = b.load(op.getKeys(), {page, head, d, b.index(0)}, pageSize);
      return b.fma(b.splat(q, pageSize), k, sum);
    };
    int64_t whole = headSize / kChains * kChains;
    Values sums(kChains, b.splat(b.f32(0), pageSize));
    if (whole)
      sums = b.loop(b.index(0), b.index(whole), kChains, sums,
                    [&](Value d, ValueRange carried) {
                      Values next;
                      for (int64_t i = 0; i < kChains; ++i)
                        next.push_back(
                            accumulate(b.add(d, b.index(i)), carried[i]));
                      return next;
                    });
    for (int64_t d = whole; d < headSize; ++d)
      sums[d % kChains] = accumulate(b.index(d), sums[d % kChains]);
    Value s =
        arith::AddFOp::create(b, arith::AddFOp::create(b, sums[0], sums[1]),
                              arith::AddFOp::create(b, sums[2], sums[3]));
    Value scale = b.splat(b.f32(1.0 / std::sqrt(double(headSize))), pageSize);
    return arith::MulFOp::create(b, s, scale);
  }
  // [/scores]

  // [online]
  /// One page into (m, l, o). `valid` places of the page, at least one, are the
  /// row's past; what lies in the others is never used.
  Values onlineSoftmax(KernelBuilder &b, PagedAttentionOp op, Value s,
                       Value valid, Value page, Value head, Value weights,
                       ValueRange state) const {
    auto keys = op.getKeys().getType();
    int64_t headSize = keys.getDimSize(2), pageSize = keys.getDimSize(3);
    auto mask = vector::CreateMaskOp::create(
        b, VectorType::get({pageSize}, b.getI1Type()), ValueRange{valid});
    Value minusInfinity =
        b.splat(b.f32(-std::numeric_limits<float>::infinity()), pageSize);
    s = arith::SelectOp::create(b, mask, s, minusInfinity);

    // [renew]
    Value m = b.max(state[0], b.maximum(s));
    Value p = math::ExpOp::create(
        b, arith::SubFOp::create(b, s, b.splat(m, pageSize)));
    p = arith::SelectOp::create(b, mask, p, b.splat(b.f32(0), pageSize));
    Value correction =
        math::ExpOp::create(b, arith::SubFOp::create(b, state[0], m));
    Value l = arith::AddFOp::create(
        b, arith::MulFOp::create(b, state[1], correction), b.sum(p));
    // [/renew]

    // o = o * correction + sum over j of p[j] * V[page, head, j]
    auto parts = pieces(headSize);
    Values o;
    for (auto [i, part] : llvm::enumerate(parts))
      o.push_back(arith::MulFOp::create(b, state[2 + i],
                                        b.splat(correction, part.second)));
    b.store(p, weights, b.index(0));
    Value end = arith::MinUIOp::create(b, valid, b.index(pageSize)).getResult();
    o = b.loop(b.index(0), end, 1, o, [&](Value j, ValueRange carried) {
      Value pj = memref::LoadOp::create(b, weights, ValueRange{j});
      Values next;
      for (auto [i, part] : llvm::enumerate(parts)) {
        auto [at, lanes] = part;
        Value v = b.load(op.getValues(), {page, head, j, b.index(at)}, lanes);
        next.push_back(b.fma(b.splat(pj, lanes), v, carried[i]));
      }
      return next;
    });
    Values next = {m, l};
    next.append(o);
    return next;
  }
  // [/online]

  /// out[row, head] = o / l
  void finish(KernelBuilder &b, PagedAttentionOp op, Value row, Value column,
              int64_t headSize, ValueRange state) const {
    for (auto [i, part] : llvm::enumerate(pieces(headSize))) {
      auto [at, lanes] = part;
      Value out =
          arith::DivFOp::create(b, state[2 + i], b.splat(state[1], lanes));
      b.store(out, op.getOut(), {row, b.add(column, b.index(at))});
    }
  }
};

} // namespace

void populateAttentionKernel(RewritePatternSet &patterns, Tile tile, bool threads) {
  patterns.add<AttentionKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14
