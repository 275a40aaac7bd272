//===- kernel_loops.cpp - the loops around a tile -------------------------===//
//
//   A packed, block by block                      or read as it lies
//   for each group of panels, in parallel:
//     B's panels packed                           or long since, or as it lies
//     for each block of rows:
//       a tile of C in registers, then written    what of it exists
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace ch10 {

/// Whether A is read as it lies: where it is small, copying it costs more than
/// its order brings. (A large one has rows a multiple of 4,096 bytes apart soon
/// enough, and all of a tile's rows in one set of the first-level cache.)
static bool readsRowsInPlace(const Product &p, const Cut &cut) {
  return !cut.bf16 && p.m > 0 && p.m % cut.rows == 0 &&
         p.m * p.k <= int64_t(64) << 10;
}

/// Whether B is read as it lies: see there.
static bool readsColumnsInPlace(const Product &p, const Cut &cut) {
  return !cut.bf16 && !p.transposed && p.n % cut.columns() == 0 &&
         p.k * p.n <= int64_t(64) << 10;
}

Value Loops::rowsOfA(const Cut &cut, Value blocks) {
  return readsRowsInPlace(p, cut) ? p.a : packRows(b, cut, p.a, blocks);
}

Value Loops::elementOfA(const Cut &cut, Value a, Value block, int64_t r,
                        Value k) {
  if (a == p.a)
    return tensor::ExtractOp::create(
        b, a, ValueRange{b.add(b.mul(block, cut.rows), r), k});
  return tensor::ExtractOp::create(b, a, ValueRange{block, k, b.index(r)});
}

// [loops]
/// The product, and what comes after it, as a tensor [m, N].
Value Loops::build(const Cut &cut, Value m) {
  Value blocks = b.ceilDiv(m, cut.rows);
  Value a = rowsOfA(cut, blocks);
  bool columnsInPlace = !prepared && readsColumnsInPlace(p, cut);

  OpFoldResult rows = getAsOpFoldResult(m);
  OpFoldResult zero = b.getIndexAttr(0);
  bool wholeColumns = p.n % cut.columns() == 0;
  Value out = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{rows, b.getIndexAttr(p.n)}, b.getF32Type());
  int64_t groups = llvm::divideCeil(p.n, cut.columns());
  auto slice = [&](Value group) {
    Value first = b.mul(group, cut.columns());
    OpFoldResult width = b.getIndexAttr(cut.columns());
    if (!wholeColumns) {
      Value rest = arith::SubIOp::create(b, b.index(p.n), first);
      width = b.min(rest, b.index(cut.columns()));
    }
    return KernelBuilder::Slice{{zero, first}, {rows, width}};
  };
  return b.parallel(
      b.getIndexAttr(groups), out, slice, [&](Value group, Value part) {
        Value panel = b.mul(group, cut.panels);
        Value columns = columnsInPlace || prepared
                            ? p.b
                            : packPanels(b, cut, p, panel, cut.panels);
        Value first = prepared ? panel : b.index(0);
        return b.loop(b.index(0), blocks, 1, part,
                      [&](Value block, ValueRange carried) -> Values {
                        return {tile(cut, m, a, columns, first, columnsInPlace,
                                     block, group, carried[0])};
                      })[0];
      });
}
// [/loops]

/// One tile, written into `part`: the columns of this group.
Value Loops::tile(const Cut &cut, Value m, Value a, Value columns, Value first,
                  bool columnsInPlace, Value block, Value group, Value part) {
  int64_t lanes = cut.tile.lanes, perPanel = cut.panel() / lanes;
  int64_t chunks = cut.columns() / lanes;
  Value column = b.mul(group, cut.columns());
  auto readA = [&](int64_t r, Value k) -> Value {
    return elementOfA(cut, a, block, r, k);
  };
  auto readB = [&](int64_t c, Value k) -> Value {
    if (columnsInPlace)
      return b.load(columns, {k, b.add(column, c * lanes)}, lanes);
    return b.load(
        columns, {b.add(first, c / perPanel), k, b.index(c % perPanel * lanes)},
        lanes);
  };
  Value zero = arith::ConstantOp::create(
      b, b.getZeroAttr(VectorType::get({lanes}, b.getF32Type())));
  int64_t depth = cut.bf16 ? (p.k + 1) / 2 : p.k;
  auto ask = [&](Value k) { askForNext(cut, first, block, k, depth); };
  Operands operands = {readA, readB};
  if (prepared && cut.panels == 1) // of several, each is a stream of its own
    operands.eachTurn = ask;
  Values acc =
      accumulate(b, cut, depth, operands, Values(cut.rows * chunks, zero));
  return finish(cut, acc, m, block, column, b.index(0),
                p.n % cut.columns() == 0, part);
}

// [ask]
/// While a panel is multiplied, the next one comes from memory: each turn of
/// the loop over k asks for some of its cache lines, so many that all blocks
/// together ask for all of them.
void Loops::askForNext(const Cut &cut, Value first, Value block, Value k,
                       int64_t depth) {
  if (!memory) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(cast<BlockArgument>(p.b).getOwner());
    auto type = cast<RankedTensorType>(p.b.getType());
    Value whole = bufferization::ToBufferOp::create(
        b, MemRefType::get(type.getShape(), type.getElementType()), p.b,
        /*read_only=*/true);
    memory = memref::CollapseShapeOp::create(
        b, whole, ArrayRef<ReassociationIndices>{{0, 1, 2}});
  }
  constexpr int64_t line = 16; // elements: all are 4 bytes
  int64_t size = depth * cut.panel(), lines = size / line;
  int64_t turns = std::max<int64_t>(1, depth / kUnroll);
  int64_t blocks = p.m > 0 ? llvm::divideCeil(p.m, cut.rows) : 4; // a guess
  int64_t each = llvm::divideCeil(lines, turns * blocks);
  Value turn = b.createOrFold<arith::DivUIOp>(k, b.index(kUnroll));
  turn = b.add(b.mul(block, turns), turn);
  Value next = b.mul(b.add(first, 1), size);
  int64_t all = cast<MemRefType>(memory.getType()).getNumElements();
  for (int64_t i = 0; i < each; ++i) {
    Value at = b.add(next, b.add(b.mul(turn, each * line), i * line));
    at = b.min(at, b.index(all - 1)); // the last panel has no next one
    memref::PrefetchOp::create(b, memory, at, /*isWrite=*/false,
                               /*localityHint=*/3, /*isDataCache=*/true);
  }
}
// [/ask]

// [finish]
/// What comes after the product, then the tile's vectors to `part`, whose
/// first column is column `first` of the matrix. Rows and columns that a tile
/// has beyond it are computed from zeros and not written.
Value Loops::finish(const Cut &cut, Values acc, Value m, Value block,
                    Value first, Value column, bool wholeColumns, Value part) {
  int64_t lanes = cut.tile.lanes, chunks = cut.columns() / lanes;
  bool wholeRows = p.m > 0 && p.m % cut.rows == 0;
  Value row = b.mul(block, cut.rows), last = b.add(m, b.index(-1));
  for (int64_t i = 0; epilogue && i < cut.rows * chunks; ++i) {
    Value there = b.add(row, i / chunks);
    acc[i] = applyEpilogue(
        b, epilogue, product, acc[i], wholeRows ? there : b.min(there, last),
        b.add(b.add(first, column), i % chunks * lanes), wholeColumns);
  }
  auto type = VectorType::get({cut.rows, lanes}, b.getF32Type());
  for (int64_t c = 0; c < chunks; ++c) {
    Value tile = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t r = 0; r < cut.rows; ++r)
      tile = vector::InsertOp::create(b, acc[r * chunks + c], tile,
                                      ArrayRef<int64_t>{r});
    part = vector::TransferWriteOp::create(
               b, tile, part, ValueRange{row, b.add(column, c * lanes)},
               b.getMultiDimIdentityMap(2),
               ArrayRef<bool>{wholeRows, wholeColumns})
               .getResult();
  }
  return part;
}
// [/finish]

} // namespace ch10
