// kernel_linear.cpp - rows times packed weights.
//
//   transformer.rows_linear %x, %w bias %b into %out
//
//   for each chunk of rows                   its rows stay in L2
//     for each panel p                       shared among threads
//       for each block of at most 6 rows     (8 with AVX-512)
//         acc[rows][nr / lanes] = 0          registers
//         for k in 0 .. K
//           acc[r][c] += x[r, k] * w[p, k, c]
//         sums = acc                         a few kilobytes on the stack
//       for each row r of the chunk
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

/// What the rows of a chunk take of the second-level cache.
constexpr int64_t kChunkBytes = int64_t(256) << 10;

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
      block(b, op, panel, count, b.index(0), rows, sums, b.index(0), Value());
      epilogue(b, op, panel, b.index(0), b.index(rows), sums);
    };
    b.parallel(b.index(0), b.index(groups),
               [&](Value g) { all(b.mul(g, group), group); });
    b.loop(b.index(groups * group), b.index(panels), 1,
           [&](Value panel) { all(panel, 1); });
  }

  // [even-blocks]
  /// Splits the rows evenly into blocks of at most tile.rows: 8 rows become
  /// 4 + 4 and not 6 + 2, which would leave half of the units idle. Some blocks
  /// go through all panels before the next do, so few that their rows stay in
  /// the second-level cache.
  void many(KernelBuilder &b, RowsLinearOp op, Value rows) const {
    int64_t most = blocksOfChunk(op);
    Value blocks = b.floorDiv(b.add(rows, b.index(tile.rows - 1)), tile.rows);
    Value atLeastOne = b.larger(blocks, b.index(1));
    Value size = arith::DivUIOp::create(b, rows, atLeastOne);
    Value larger = arith::RemUIOp::create(b, rows, atLeastOne);
    Value panels = b.index(op.getWeight().getType().getDimSize(0));
    b.loop(b.index(0), blocks, most, [&](Value first) {
      Value count = b.smaller(b.sub(blocks, first), b.index(most));
      // The first `larger` blocks of all have a row more.
      Value ahead = b.smaller(first, larger);
      Value row = b.add(arith::MulIOp::create(b, first, size), ahead);
      Value tall = b.smaller(b.sub(larger, ahead), count);
      b.parallel(b.index(0), panels, [&](Value panel) {
        Value sums = tileBuffer(b, op, most * tile.rows, 1);
        Value begin = row, number = b.index(0);
        // Three rows are the fewest that come here, or half of the tile.
        int64_t fewest = std::min<int64_t>(3, (tile.rows + 1) / 2);
        for (int64_t r = tile.rows; r >= fewest; --r) {
          Value some = b.select(
              b.equal(size, b.index(r)), b.sub(count, tall),
              b.select(b.equal(size, b.index(r - 1)), tall, b.index(0)));
          b.loop(b.index(0), some, 1, [&](Value i) {
            Value at = b.add(begin, b.mul(i, r));
            block(b, op, panel, 1, at, r, sums, b.sub(at, row),
                  b.add(number, i));
          });
          begin = b.add(begin, b.mul(some, r));
          number = b.add(number, some);
        }
        epilogue(b, op, panel, row, b.sub(begin, row), sums);
      });
    });
  }

  /// How many blocks' rows take a quarter of a megabyte.
  int64_t blocksOfChunk(RowsLinearOp op) const {
    int64_t bytes =
        op.getDepth() * op.getX().getType().getElementTypeBitWidth() / 8;
    int64_t blocks = kChunkBytes / (bytes * tile.rows);
    return std::clamp<int64_t>(blocks, 4, 32);
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
  /// The sums of `rows` rows x `group` panels, to rows `place` on of `sums`.
  /// `number` counts the blocks of a
  /// panel, and says which part of the next panel to ask for meanwhile.
  void block(KernelBuilder &b, RowsLinearOp op, Value panel, int64_t group,
             Value row, int64_t rows, Value sums, Value place,
             Value number) const {
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
        b.store(*sum++, sums,
                {b.add(place, b.index(r)), b.index(c * tile.lanes)});
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
    Value last = b.index(type.getDimSize(0) - 1);
    Value next = b.smaller(b.add(panel, b.index(1)), last);
    // The last blocks of many find everything asked for already.
    Value from = b.smaller(b.mul(number, part),
                           b.index(std::max<int64_t>(size - part, 0)));
    Value at = b.add(b.add(b.mul(next, size), from), b.mul(k, line / kUnroll));
    memref::PrefetchOp::create(b, flat, at, /*isWrite=*/false,
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
