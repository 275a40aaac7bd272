// kernel_linear.cpp - rows times packed weights.
//
//   transformer.rows_linear %x, %w bias %b into %out
//
//   for each panel p                       its weights stay in L2
//     for each block of at most 6 rows     (8 with AVX-512)
//       acc[rows][nr / lanes] = 0          registers
//       for k in 0 .. K
//         acc[r][c] += x[r, k] * w[p, k, c]
//       sums = acc                         a few lines of the first-level cache
//       for each row r of the block
//         out[r, p * nr + c] = epilogue(sums[r][c])
//
// One row's sum runs over k from first to last with one accumulator for each
// column, whatever the block: rows that are computed together are bit-identical
// to rows that are computed alone. Arithmetic.h says what += is for each dtype.
#include "ch14/Arithmetic.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace transformer;

namespace ch14 {

namespace {

/// How many steps of the k loop are written out; the rest follows unrolled.
constexpr int64_t kUnroll = 2;

struct LinearKernel : Kernel<RowsLinearOp> {
  using Kernel::Kernel;

  const char *declines(RowsLinearOp op) const override {
    return op.getPanel() == tile.columns
               ? nullptr
               : "the weights are packed for another tile";
  }

  // [dispatch]
  void emit(KernelBuilder &b, RowsLinearOp op) const override {
    Value rows = b.dim(op.getX(), 0);
    // Few rows have few accumulators: they take several panels at a time, so
    // that one addition need not wait for the other.
    b.branch(
        b.equal(rows, b.index(1)), [&] { few(b, op, 1, 4); },
        [&] {
          b.branch(
              b.equal(rows, b.index(2)), [&] { few(b, op, 2, 2); },
              [&] { many(b, op, rows); });
        });
  }
  // [/dispatch]

private:
  /// All of `rows` rows, with `group` panels at a time.
  void few(KernelBuilder &b, RowsLinearOp op, int64_t rows,
           int64_t group) const {
    int64_t panels = op.getWeight().getType().getDimSize(0);
    int64_t groups = panels / group;
    auto all = [&](Value panel, int64_t count) {
      Value sums = tileBuffer(b, op, rows, count);
      block(b, op, panel, count, b.index(0), rows, sums, Value());
      epilogue(b, op, panel, b.index(0), b.index(rows), sums);
    };
    b.parallel(b.index(0), b.index(groups),
               [&](Value g) { all(b.mul(g, group), group); });
    b.loop(b.index(groups * group), b.index(panels), 1,
           [&](Value panel) { all(panel, 1); });
  }

  // [even-blocks]
  /// Splits the rows evenly into blocks of at most tile.rows: 8 rows become
  /// 4 + 4 and not 6 + 2, which would leave half of the units idle.
  void many(KernelBuilder &b, RowsLinearOp op, Value rows) const {
    Value blocks = b.floorDiv(b.add(rows, b.index(tile.rows - 1)), tile.rows);
    Value atLeastOne = arith::MaxUIOp::create(b, blocks, b.index(1));
    Value size = arith::DivUIOp::create(b, rows, atLeastOne);
    Value larger = arith::RemUIOp::create(b, rows, atLeastOne);
    Value panels = b.index(op.getWeight().getType().getDimSize(0));
    b.parallel(b.index(0), panels, [&](Value panel) {
      Value sums = tileBuffer(b, op, tile.rows, 1);
      b.loop(b.index(0), blocks, 1, [&](Value i) {
        // The first `larger` blocks have a row more.
        Value isLarger = b.less(i, larger);
        Value begin = b.add(arith::MulIOp::create(b, i, size),
                            b.select(isLarger, i, larger));
        Value count = b.add(size, b.select(isLarger, b.index(1), b.index(0)));
        // Three rows are the fewest that come here, or half of the tile.
        int64_t fewest = std::min<int64_t>(3, (tile.rows + 1) / 2);
        b.choose(count, fewest, tile.rows,
                 [&](int64_t r) { block(b, op, panel, 1, begin, r, sums, i); });
        epilogue(b, op, panel, begin, count, sums);
      });
    });
  }
  // [/even-blocks]

  /// Where a block leaves its sums: [rows, panels * nr] on the stack of the
  /// thread that computes it.
  Value tileBuffer(KernelBuilder &b, RowsLinearOp op, int64_t rows,
                   int64_t panels) const {
    Type type = Arithmetic(b, op).sumType();
    return b.stackBuffer({rows, panels * tile.columns}, type);
  }

  // [block]
  /// The sums of `rows` rows x `group` panels. `number` counts the blocks of a
  /// panel, and says which part of the next panel to ask for meanwhile.
  void block(KernelBuilder &b, RowsLinearOp op, Value panel, int64_t group,
             Value row, int64_t rows, Value sums, Value number) const {
    Arithmetic arithmetic(b, op);
    int64_t vectors = tile.columns / tile.lanes;
    Values panels, at;
    for (int64_t p = 0; p < group; ++p)
      panels.push_back(b.add(panel, b.index(p)));
    for (int64_t r = 0; r < rows; ++r)
      at.push_back(b.add(row, b.index(r)));

    // [accumulate]
    // acc[r][p, c] += x[row + r, k] * w[panel + p, k, c]
    auto step = [&](Value k, Values acc) {
      Values weights;
      for (Value p : panels)
        for (int64_t c = 0; c < vectors; ++c)
          weights.push_back(arithmetic.weights(p, k, c * tile.lanes));
      auto next = acc.begin();
      for (int64_t r = 0; r < rows; ++r) {
        Value x = arithmetic.row(at[r], k);
        for (Value w : weights) {
          *next = arithmetic.multiplyAdd(x, w, *next);
          ++next;
        }
      }
      return acc;
    };
    // [/accumulate]

    Values acc(rows * group * vectors, arithmetic.zero());
    int64_t steps = arithmetic.steps(), whole = steps / kUnroll * kUnroll;
    if (whole)
      acc = b.loop(b.index(0), b.index(whole), kUnroll, acc,
                   [&](Value k, ValueRange carried) {
                     if (number)
                       askForNext(b, op, panel, number, k);
                     Values next(carried);
                     for (int64_t u = 0; u < kUnroll; ++u)
                       next = step(b.add(k, b.index(u)), next);
                     return next;
                   });
    for (int64_t k = whole; k < steps; ++k)
      acc = step(b.index(k), acc);

    auto sum = acc.begin();
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < group * vectors; ++c)
        b.store(*sum++, sums, {b.index(r), b.index(c * tile.lanes)});
  }
  // [/block]

  // [prefetch]
  /// While one panel is multiplied, the next comes from memory: each turn of
  /// the k loop asks for a line of it, block `number` for the number-th part.
  static void askForNext(KernelBuilder &b, RowsLinearOp op, Value panel,
                         Value number, Value k) {
    MemRefType type = op.getWeight().getType();
    int64_t size = type.getDimSize(1) * type.getDimSize(2); // of a panel
    int64_t line = 512 / type.getElementTypeBitWidth();
    int64_t part = type.getDimSize(1) / kUnroll * line;
    Value flat = memref::CollapseShapeOp::create(
        b, op.getWeight(), ArrayRef<ReassociationIndices>{{0, 1, 2}});
    Value next = b.mul(b.add(panel, b.index(1)), size);
    Value at = b.add(b.mul(number, part), b.mul(k, line / kUnroll));
    // The last blocks of many find everything asked for already.
    at = arith::MinUIOp::create(b, at, b.index(size - 1));
    memref::PrefetchOp::create(b, flat, b.add(next, at), /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
  }
  // [/prefetch]

  // [epilogue]
  /// Scales, bias, GELU and residual, while the sums are in the first-level
  /// cache. Written once for blocks of all sizes: GELU is long.
  void epilogue(KernelBuilder &b, RowsLinearOp op, Value panel, Value begin,
                Value rows, Value sums) const {
    auto type = cast<MemRefType>(sums.getType());
    b.loop(b.index(0), rows, 1, [&](Value r) {
      Value row = b.add(begin, r);
      for (int64_t c = 0; c < type.getDimSize(1); c += tile.lanes) {
        Value column = b.add(b.mul(panel, tile.columns), b.index(c));
        Value v = b.load(sums, {r, b.index(c)}, tile.lanes);
        v = Arithmetic(b, op).finish(v, row, column);
        if (op.getBias())
          v = arith::AddFOp::create(b, v,
                                    b.load(op.getBias(), column, tile.lanes));
        if (op.getGelu())
          v = gelu(b, v);
        if (op.getAccumulate())
          v = arith::AddFOp::create(
              b, b.load(op.getOut(), {row, column}, tile.lanes), v);
        b.store(v, op.getOut(), {row, column});
      }
    });
  }
  // [/epilogue]
};

} // namespace

void populateLinearKernel(RewritePatternSet &patterns, Tile tile,
                          bool threads) {
  patterns.add<LinearKernel>(patterns.getContext(), tile, threads);
}

} // namespace ch14
