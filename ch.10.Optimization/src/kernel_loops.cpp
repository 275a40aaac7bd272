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
  return !cut.bf16 && p.m > 0 && p.m * p.k <= int64_t(64) << 10;
}

/// Whether B is read as it lies: see there. Its rows lie further apart.
static bool readsColumnsInPlace(const Product &p, const Cut &cut) {
  return !cut.bf16 && !p.transposed && p.n % cut.columns() == 0 &&
         p.k * p.n <= int64_t(32) << 10;
}

// [at-once]
/// How many groups of panels a block of A meets before the next one comes: one,
/// unless A is more than the caches and comes from memory each time.
static int64_t groupsAtOnce(const Product &p, const Cut &cut) {
  bool large = p.m > 0 && p.m * p.k > (int64_t(2) << 20) && p.n >= 1024;
  return large ? 8 : 1;
}
// [/at-once]

// [blocks]
/// Of blocks of a known number of rows, the first `larger` have cut.rows, the
/// others one less: 32 rows are 6 + 6 + 5 + 5 + 5 + 5, none is computed in
/// vain.
static int64_t largerBlocks(const Product &p, const Cut &cut) {
  return p.m - llvm::divideCeil(p.m, cut.rows) * (cut.rows - 1);
}

static bool allEqual(const Product &p, const Cut &cut) {
  return p.m < 0 || p.m % cut.rows == 0;
}

Value Loops::numBlocks(const Cut &cut, Value m) {
  return b.ceilDiv(m, cut.rows);
}

Value Loops::firstRow(const Cut &cut, Value block) {
  if (allEqual(p, cut))
    return b.mul(block, cut.rows);
  return b.add(b.mul(block, cut.rows - 1),
               b.min(block, b.index(largerBlocks(p, cut))));
}

Value Loops::eachBlock(const Cut &cut, Value m, Value carried,
                       function_ref<Value(const RowBlock &, Value)> body) {
  auto loop = [&](Value from, Value to, int64_t rows) {
    carried =
        b.loop(from, to, 1, carried, [&](Value i, ValueRange inner) -> Values {
          return {body({i, firstRow(cut, i), rows}, inner[0])};
        })[0];
  };
  Value blocks = numBlocks(cut, m);
  if (allEqual(p, cut)) {
    loop(b.index(0), blocks, cut.rows);
    return carried;
  }
  Value larger = b.index(largerBlocks(p, cut));
  loop(b.index(0), larger, cut.rows);
  loop(larger, blocks, cut.rows - 1);
  return carried;
}
// [/blocks]

Value Loops::rowsOfA(const Cut &cut, Value m) {
  if (readsRowsInPlace(p, cut))
    return p.a;
  return packRows(b, cut, p.a, numBlocks(cut, m),
                  [&](Value block) { return firstRow(cut, block); });
}

Value Loops::elementOfA(Value a, const RowBlock &block, int64_t r, Value k) {
  if (a == p.a)
    return tensor::ExtractOp::create(b, a, ValueRange{b.add(block.row, r), k});
  return tensor::ExtractOp::create(b, a,
                                   ValueRange{block.number, k, b.index(r)});
}

// [columns]
/// [m, N], `width` columns at a time, in any order or at once, then what is
/// left of them: body(first column, how many, where they go).
Value Loops::columnsAtATime(
    Value m, int64_t width,
    function_ref<Value(Value first, int64_t width, Value part)> body) {
  OpFoldResult zero = b.getIndexAttr(0), rows = getAsOpFoldResult(m);
  Value out = tensor::EmptyOp::create(
      b, ArrayRef<OpFoldResult>{rows, b.getIndexAttr(p.n)}, b.getF32Type());
  auto pieces = [&](int64_t from, int64_t count, int64_t width) {
    auto first = [=](Value i) { return b.add(b.mul(i, width), from); };
    auto slice = [=](Value i) {
      return KernelBuilder::Slice{{zero, first(i)},
                                  {rows, b.getIndexAttr(width)}};
    };
    out =
        b.parallel(b.getIndexAttr(count), out, slice, [&](Value i, Value part) {
          return body(first(i), width, part);
        });
  };
  int64_t whole = p.n / width, rest = p.n % width;
  if (whole)
    pieces(0, whole, width);
  if (rest)
    pieces(p.n - rest, 1, rest);
  return out;
}
// [/columns]

// [loops]
/// The product, and what comes after it, as a tensor [m, N].
Value Loops::build(const Cut &cut, Value m) {
  Value a = rowsOfA(cut, m);
  bool inPlace = !prepared && readsColumnsInPlace(p, cut);
  int64_t atOnce = groupsAtOnce(p, cut);
  auto body = [&](Value column, int64_t width, Value part) {
    Value panel = b.createOrFold<arith::DivUIOp>(column, b.index(cut.panel()));
    int64_t groups = llvm::divideCeil(width, cut.columns());
    Value columns = inPlace || prepared
                        ? p.b
                        : packPanels(b, cut, p, panel, groups * cut.panels);
    Value first = prepared ? panel : b.index(0);
    return eachBlock(cut, m, part, [&](const RowBlock &block, Value part) {
      auto group = [&](Value i, ValueRange carried) -> Values {
        return {tile(cut, m, a, columns, b.add(first, b.mul(i, cut.panels)),
                     inPlace, block, column, b.mul(i, cut.columns()),
                     width % cut.columns() == 0, carried[0])};
      };
      if (groups == 1)
        return group(b.index(0), part)[0];
      return b.loop(b.index(0), b.index(groups), 1, part, group)[0];
    });
  };
  return columnsAtATime(m, atOnce * cut.columns(), body);
}
// [/loops]

/// One tile, written into `part` from its column `column` on; `part` begins at
/// column `first` of C.
Value Loops::tile(const Cut &cut, Value m, Value a, Value columns, Value panel,
                  bool columnsInPlace, const RowBlock &block, Value first,
                  Value column, bool wholeColumns, Value part) {
  int64_t lanes = cut.tile.lanes, perPanel = cut.panel() / lanes;
  int64_t chunks = cut.columns() / lanes;
  auto readA = [&](int64_t r, Value k) -> Value {
    return elementOfA(a, block, r, k);
  };
  auto readB = [&](int64_t c, Value k) -> Value {
    if (columnsInPlace)
      return b.load(columns, {k, b.add(b.add(first, column), c * lanes)},
                    lanes);
    return b.load(
        columns, {b.add(panel, c / perPanel), k, b.index(c % perPanel * lanes)},
        lanes);
  };
  Value zero = arith::ConstantOp::create(
      b, b.getZeroAttr(VectorType::get({lanes}, b.getF32Type())));
  int64_t depth = cut.bf16 ? (p.k + 1) / 2 : p.k;
  auto ask = [&](Value k) { askForNext(cut, panel, block.number, k, depth); };
  Operands operands = {readA, readB};
  if (prepared && cut.panels == 1) // of several, each is a stream of its own
    operands.eachTurn = ask;
  Values acc =
      accumulate(b, cut, depth, operands, Values(block.rows * chunks, zero));
  return finish(cut, acc, m, block, first, column, wholeColumns, part);
}

// [ask]
/// While a panel is multiplied, the next one comes from memory: each turn of
/// the loop over k asks for some of its cache lines, so many that all blocks
/// together ask for all of them.
void Loops::askForNext(const Cut &cut, Value panel, Value block, Value k,
                       int64_t depth) {
  auto type = cast<RankedTensorType>(p.b.getType());
  if (!memory) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(cast<BlockArgument>(p.b).getOwner());
    Value whole = bufferization::ToBufferOp::create(
        b, MemRefType::get(type.getShape(), type.getElementType()), p.b,
        /*read_only=*/true);
    memory = memref::CollapseShapeOp::create(
        b, whole, ArrayRef<ReassociationIndices>{{0, 1, 2}});
  }
  constexpr int64_t line = 16; // elements: all are 4 bytes
  int64_t lines = depth * cut.panel() / line;
  int64_t turns = std::max<int64_t>(1, depth / kUnroll);
  int64_t blocks = p.m > 0 ? llvm::divideCeil(p.m, cut.rows) : 4; // a guess
  int64_t each = llvm::divideCeil(lines, turns * blocks);
  Value turn = b.createOrFold<arith::DivUIOp>(k, b.index(kUnroll));
  turn = b.add(b.mul(block, turns), turn);
  Value next = b.mul(b.add(panel, groupsAtOnce(p, cut)), depth * cut.panel());
  int64_t all = type.getNumElements();
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
Value Loops::finish(const Cut &cut, Values acc, Value m, const RowBlock &block,
                    Value first, Value column, bool wholeColumns, Value part) {
  int64_t lanes = cut.tile.lanes, chunks = cut.columns() / lanes;
  bool wholeRows = p.m > 0;
  Value last = b.add(m, b.index(-1));
  for (int64_t i = 0; epilogue && i < block.rows * chunks; ++i) {
    Value there = b.add(block.row, i / chunks);
    acc[i] = applyEpilogue(
        b, epilogue, product, acc[i], wholeRows ? there : b.min(there, last),
        b.add(b.add(first, column), i % chunks * lanes), wholeColumns);
  }
  auto type = VectorType::get({block.rows, lanes}, b.getF32Type());
  for (int64_t c = 0; c < chunks; ++c) {
    Value tile = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t r = 0; r < block.rows; ++r)
      tile = vector::InsertOp::create(b, acc[r * chunks + c], tile,
                                      ArrayRef<int64_t>{r});
    part = vector::TransferWriteOp::create(
               b, tile, part, ValueRange{block.row, b.add(column, c * lanes)},
               b.getMultiDimIdentityMap(2),
               ArrayRef<bool>{wholeRows, wholeColumns})
               .getResult();
  }
  return part;
}
// [/finish]

} // namespace ch10
