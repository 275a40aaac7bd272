// kernel_linear.cpp - rows times packed weights.
//
//   transformer.rows_linear %x, %w bias %b into %out
//
//   for each panel p                       its K x nr weights stay in L2
//     for each block of 8 rows             then of 4, 2, 1 for the rest
//       acc[8][nr / lanes] = 0             registers
//       for k in 0 .. K
//         acc[r][c] += x[r, k] * w[p, k, c]
//       out[r, p * nr + c] = epilogue(acc[r][c])
//
// One row's sum runs over k from first to last with one accumulator for each
// column, in a block of 8 rows as in a block of 1: rows that are computed
// together are bit-identical to rows that are computed alone.
#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

/// How many steps of the k loop are written out; the rest follows unrolled.
constexpr int64_t kUnroll = 4;

struct LinearKernel : Kernel<RowsLinearOp> {
  using Kernel::Kernel;

  const char *declines(RowsLinearOp op) const override {
    return op.getWeight().getType().getDimSize(2) == tile.panel
               ? nullptr
               : "the weights are packed for another tile";
  }

  void emit(KernelBuilder &b, RowsLinearOp op) const override {
    Value rows = b.dim(op.getX(), 0);
    Value panels = b.index(op.getWeight().getType().getDimSize(0));
    b.loop(b.index(0), panels, 1, [&](Value panel) {
      // Blocks of 8 rows, then at most one of 4, of 2 and of 1.
      Value done = b.index(0);
      for (int64_t block = tile.rows; block >= 1; block /= 2) {
        Value end = b.mul(b.floorDiv(rows, block), block);
        b.loop(done, end, block,
               [&](Value row) { rowBlock(b, op, panel, row, block); });
        done = end;
      }
    });
  }

private:
  // [row-block]
  /// Computes `block` rows x one panel.
  void rowBlock(KernelBuilder &b, RowsLinearOp op, Value panel, Value row,
                int64_t block) const {
    int64_t depth = op.getWeight().getType().getDimSize(1);
    int64_t vectors = tile.panel / tile.lanes;
    Values rows;
    for (int64_t r = 0; r < block; ++r)
      rows.push_back(b.add(row, b.index(r)));

    // [accumulate]
    // acc[r * vectors + c] += x[row + r, k] * w[panel, k, c]
    auto step = [&](Value k, Values acc) {
      Values weights;
      for (int64_t c = 0; c < vectors; ++c)
        weights.push_back(b.load(
            op.getWeight(), {panel, k, b.index(c * tile.lanes)}, tile.lanes));
      for (int64_t r = 0; r < block; ++r) {
        Value x = memref::LoadOp::create(b, op.getX(), ValueRange{rows[r], k});
        Value splat = b.splat(x, tile.lanes);
        for (int64_t c = 0; c < vectors; ++c)
          acc[r * vectors + c] = b.fma(splat, weights[c], acc[r * vectors + c]);
      }
      return acc;
    };
    // [/accumulate]

    Values acc(block * vectors, b.splat(b.f32(0), tile.lanes));
    int64_t whole = depth / kUnroll * kUnroll;
    acc = b.loop(b.index(0), b.index(whole), kUnroll, acc,
                 [&](Value k, ValueRange carried) {
                   Values next(carried);
                   for (int64_t u = 0; u < kUnroll; ++u)
                     next = step(b.add(k, b.index(u)), next);
                   return next;
                 });
    for (int64_t k = whole; k < depth; ++k)
      acc = step(b.index(k), acc);

    for (int64_t c = 0; c < vectors; ++c) {
      Value column = b.add(b.mul(panel, tile.panel), b.index(c * tile.lanes));
      Value bias =
          op.getBias() ? b.load(op.getBias(), column, tile.lanes) : Value();
      for (int64_t r = 0; r < block; ++r)
        epilogue(b, op, acc[r * vectors + c], bias, {rows[r], column});
    }
  }
  // [/row-block]

  /// Bias, GELU, residual, while the numbers are in registers.
  void epilogue(KernelBuilder &b, RowsLinearOp op, Value v, Value bias,
                ValueRange place) const {
    if (bias)
      v = arith::AddFOp::create(b, v, bias);
    if (op.getGelu())
      v = gelu(b, v);
    if (op.getAccumulate())
      v = arith::AddFOp::create(b, b.load(op.getOut(), place, tile.lanes), v);
    b.store(v, op.getOut(), place);
  }
};

} // namespace

void populateLinearKernel(RewritePatternSet &patterns, Tile tile) {
  patterns.add<LinearKernel>(patterns.getContext(), tile);
}

} // namespace ch14
