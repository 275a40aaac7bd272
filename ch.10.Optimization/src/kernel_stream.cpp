//===- kernel_stream.cpp - few rows by a matrix that nobody packed --------===//
//
//   for each piece of columns, in parallel:
//     sums = 0                                    a buffer of its own
//     for k by some rows of B:                    each from left to right
//       for each tile:  sums += A[:, k..] * B[k.., :]
//     C = epilogue(sums)
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ch10 {

namespace {
// [stream-shape]
/// Streaming, by measurement: so many columns and steps of k at a time. Where
/// there are more than two tiles' rows, the piece of B is used so often that it
/// is copied first, into one place of the second-level cache.
struct Stream {
  int64_t columns, steps;
  bool copied;

  Stream(int64_t rows, const Tile &tile) {
    copied = rows > 2 * tile.rows;
    columns = copied ? 128 : rows <= 2 ? 4096 : 1024;
    steps = copied ? 256 : rows <= 2 ? 4 : 8;
  }
};
constexpr int64_t kStreamRows = 256;
// [/stream-shape]
} // namespace

bool streams(const Product &p, bool bf16) {
  return !bf16 && !p.transposed && p.m > 0 && p.m <= kStreamRows &&
         p.k * p.n > int64_t(64) << 10;
}

// [stream]
/// B is read as it lies, once from end to end: some of its rows at a time,
/// each from left to right. C's sums wait in a buffer of their own between
/// two blocks of k, and lose no bit by it.
Value Loops::stream(const Cut &cut) {
  Value m = b.index(p.m);
  Value a = rowsOfA(cut, m);
  auto body = [&](Value first, int64_t width, Value part) {
    return streamPiece(cut, a, first, width, part);
  };
  return columnsAtATime(m, Stream(p.m, cut.tile).columns, body);
}

/// `width` columns of the product from `first` on, into `part`.
Value Loops::streamPiece(const Cut &cut, Value a, Value first, int64_t width,
                         Value part) {
  Stream shape(p.m, cut.tile);
  int64_t blocks = llvm::divideCeil(p.m, cut.rows);
  int64_t groups = llvm::divideCeil(width, cut.columns());
  int64_t lanes = cut.tile.lanes, chunks = cut.columns() / lanes;
  Value sums = ch9::filled(
      b,
      getAsIndexOpFoldResult(b.getContext(),
                             {blocks, groups * chunks, cut.rows, lanes}),
      0.0);
  auto tiles = [&](Value carried, auto body) {
    return b.loop(b.index(0), b.index(groups), 1, carried,
                  [&](Value group, ValueRange outer) -> Values {
                    return {
                        eachBlock(cut, b.index(p.m), outer[0],
                                  [&](const RowBlock &block, Value carried) {
                                    return body(block, group, carried);
                                  })};
                  })[0];
  };
  auto place = [&](const RowBlock &block, Value group, int64_t i) -> Values {
    return {block.number, b.add(b.mul(group, chunks), i % chunks),
            b.index(i / chunks), b.index(0)};
  };
  auto steps = [&](Value from, int64_t count, Value sums) {
    Value rows = shape.copied ? copyRows(cut, from, count, first, groups) : p.b;
    return tiles(sums, [&](const RowBlock &block, Value group, Value sums) {
      auto readA = [&](int64_t r, Value k) -> Value {
        return elementOfA(a, block, r, b.add(from, k));
      };
      auto readB = [&](int64_t c, Value k) -> Value {
        if (shape.copied)
          return b.load(rows, {group, k, b.index(c * lanes)}, lanes);
        Value column = b.add(first, b.mul(group, cut.columns()));
        return b.load(rows, {b.add(from, k), b.add(column, c * lanes)}, lanes,
                      width % cut.columns() == 0);
      };
      Values acc;
      for (int64_t i = 0; i < block.rows * chunks; ++i)
        acc.push_back(b.load(sums, place(block, group, i), lanes));
      acc = accumulate(b, cut, count, {readA, readB}, acc);
      for (int64_t i = 0; i < block.rows * chunks; ++i)
        sums = b.store(acc[i], sums, place(block, group, i));
      return sums;
    });
  };
  int64_t whole = p.k / shape.steps * shape.steps;
  if (whole)
    sums = b.loop(b.index(0), b.index(whole), shape.steps, sums,
                  [&](Value k, ValueRange carried) -> Values {
                    return {steps(k, shape.steps, carried[0])};
                  })[0];
  if (whole < p.k)
    sums = steps(b.index(whole), p.k - whole, sums);
  return tiles(part, [&](const RowBlock &block, Value group, Value part) {
    Values acc;
    for (int64_t i = 0; i < block.rows * chunks; ++i)
      acc.push_back(b.load(sums, place(block, group, i), lanes));
    Value column = b.mul(group, cut.columns());
    return finish(cut, acc, b.index(p.m), block, first, column,
                  width % cut.columns() == 0, part);
  });
}

/// `count` rows of B from `from` on, a group of columns after the other:
/// [groups, count, columns].
Value Loops::copyRows(const Cut &cut, Value from, int64_t count, Value first,
                      int64_t groups) {
  int64_t lanes = cut.tile.lanes, chunks = cut.columns() / lanes;
  bool whole = p.n % cut.columns() == 0;
  Value rows = tensor::EmptyOp::create(
      b, ArrayRef<int64_t>{groups, count, cut.columns()}, b.getF32Type());
  return b.loop(
      b.index(0), b.index(count), 1, rows,
      [&](Value k, ValueRange outer) -> Values {
        return b.loop(
            b.index(0), b.index(groups), 1, outer,
            [&](Value group, ValueRange inner) -> Values {
              Value column = b.add(first, b.mul(group, cut.columns()));
              Value rows = inner[0];
              for (int64_t c = 0; c < chunks; ++c) {
                Value v =
                    b.load(p.b, {b.add(from, k), b.add(column, c * lanes)},
                           lanes, whole);
                rows = b.store(v, rows, {group, k, b.index(c * lanes)});
              }
              return {rows};
            });
      })[0];
}
// [/stream]

} // namespace ch10
