//===- kernel.cpp - products as loops over register tiles -----------------===//
//
//   A packed, block by block                      or read as it lies
//   for each group of panels, in parallel:
//     B's panels packed                           or long since, or as it lies
//     for each block of rows:
//       a tile of C in registers, then written    what of it exists
//
// All on tensors, so that bufferization decides what is a buffer. The number of
// rows may be unknown: the blocks have a fixed height, how many there are is
// found when the program is called, and three cuts are compiled, of which the
// number of rows chooses one.
//
//===----------------------------------------------------------------------===//

#include "Kernel.h"
#include "TiledPass.h"
#include "ch10/Passes.h"

#include "ch9/Compiler.h"
#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;

namespace ch10 {

namespace {

//===--- How a product is cut ---------------------------------------------===//

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

// [cut]
/// Rows of a tile, and panels side by side, for a product of at most `rows`
/// rows, of any number where that is -1. Few rows leave registers free, and
/// those hold further panels: what is loaded of A is used for all of them, and
/// B comes in as several streams.
Cut cutFor(const Target &target, int64_t rows, bool bf16) {
  const Tile &tile = target.tile;
  if (rows < 0)
    rows = tile.rows;
  int64_t panels = rows <= tile.rows / 4 ? 4 : rows <= tile.rows / 2 ? 2 : 1;
  return {tile, rows, panels, bf16, bf16 && target.dot};
}

/// Of a known number of rows: blocks of equal height, 9 rows are 5 and 4.
Cut cutForExactly(const Target &target, int64_t rows, bool bf16) {
  int64_t blocks = llvm::divideCeil(rows, target.tile.rows);
  return cutFor(target, llvm::divideCeil(rows, blocks), bf16);
}
// [/cut]

/// Whether A is read as it lies: where it is small, copying it costs more than
/// its order brings. (A large one has rows a multiple of 4,096 bytes apart soon
/// enough, and all of a tile's rows in one set of the first-level cache.)
bool readsRowsInPlace(const Product &p, const Cut &cut) {
  return !cut.bf16 && p.m > 0 && p.m % cut.rows == 0 &&
         p.m * p.k <= int64_t(64) << 10;
}

/// Whether B is read as it lies: see there.
bool readsColumnsInPlace(const Product &p, const Cut &cut) {
  return !cut.bf16 && !p.transposed && p.n % cut.columns() == 0 &&
         p.k * p.n <= int64_t(64) << 10;
}

/// Whether B, which lies as it came, is read once from end to end. Each of its
/// elements is used by few rows, and a copy would be read as often as it.
bool streams(const Product &p, bool bf16) {
  return !bf16 && !p.transposed && p.m > 0 && p.m <= kStreamRows &&
         p.k * p.n > int64_t(64) << 10;
}

//===--- The loops --------------------------------------------------------===//

struct Loops {
  KernelBuilder &b;
  const Product &p;
  linalg::GenericOp epilogue; // null: there is none
  Value product;              // what the epilogue knows it as
  bool prepared;              // p.b has been a constant, and is panels now

  // [loops]
  /// The product, and what comes after it, as a tensor [m, N].
  Value build(const Cut &cut, Value m) {
    Value blocks = b.ceilDiv(m, cut.rows);
    Value a = readsRowsInPlace(p, cut) ? p.a : packRows(b, cut, p.a, blocks);
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
                          return {tile(cut, m, a, columns, first,
                                       columnsInPlace, block, group,
                                       carried[0])};
                        })[0];
        });
  }
  // [/loops]

  // [stream]
  /// B is read as it lies, once from end to end: some of its rows at a time,
  /// each from left to right. C's sums wait in a buffer of their own between
  /// two blocks of k, and lose no bit by it.
  Value stream(const Cut &cut) {
    Value blocks = b.index(llvm::divideCeil(p.m, cut.rows));
    Value a = readsRowsInPlace(p, cut) ? p.a : packRows(b, cut, p.a, blocks);
    OpFoldResult zero = b.getIndexAttr(0), rows = b.getIndexAttr(p.m);
    Value out = tensor::EmptyOp::create(
        b, ArrayRef<OpFoldResult>{rows, b.getIndexAttr(p.n)}, b.getF32Type());
    auto pieces = [&](int64_t from, int64_t count, int64_t width) {
      auto first = [=](Value i) { return b.add(b.mul(i, width), from); };
      auto slice = [=](Value i) {
        return KernelBuilder::Slice{{zero, first(i)},
                                    {rows, b.getIndexAttr(width)}};
      };
      out = b.parallel(b.getIndexAttr(count), out, slice,
                       [&](Value i, Value part) {
                         return streamPiece(cut, a, first(i), width, part);
                       });
    };
    Stream shape(p.m, cut.tile);
    int64_t whole = p.n / shape.columns, rest = p.n % shape.columns;
    if (whole)
      pieces(0, whole, shape.columns);
    if (rest)
      pieces(p.n - rest, 1, rest);
    return out;
  }

  /// A constant's panels as memory: only there does "ask for a line" mean
  /// something.
  Value memory;

private:
  // [ask]
  /// While a panel is multiplied, the next one comes from memory: each turn of
  /// the loop over k asks for some of its cache lines, so many that all blocks
  /// together ask for all of them.
  void askForNext(const Cut &cut, Value first, Value block, Value k,
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
    for (int64_t i = 0; i < each; ++i) {
      Value at = b.add(b.mul(turn, each * line), i * line);
      at = b.min(at, b.index(size - line));
      memref::PrefetchOp::create(b, memory, b.add(next, at), /*isWrite=*/false,
                                 /*localityHint=*/3, /*isDataCache=*/true);
    }
  }
  // [/ask]

  /// `width` columns of the product from `first` on, into `part`.
  Value streamPiece(const Cut &cut, Value a, Value first, int64_t width,
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
                      return b.loop(
                          b.index(0), b.index(blocks), 1, outer,
                          [&](Value block, ValueRange inner) -> Values {
                            return {body(block, group, inner[0])};
                          });
                    })[0];
    };
    auto place = [&](Value block, Value group, int64_t i) -> Values {
      return {block, b.add(b.mul(group, chunks), i % chunks),
              b.index(i / chunks), b.index(0)};
    };
    auto steps = [&](Value from, int64_t count, Value sums) {
      Value rows =
          shape.copied ? copyRows(cut, from, count, first, groups) : p.b;
      return tiles(sums, [&](Value block, Value group, Value sums) {
        auto readA = [&](int64_t r, Value k) -> Value {
          return elementOfA(cut, a, block, r, b.add(from, k));
        };
        auto readB = [&](int64_t c, Value k) -> Value {
          if (shape.copied)
            return b.load(rows, {group, k, b.index(c * lanes)}, lanes);
          Value column = b.add(first, b.mul(group, cut.columns()));
          return b.load(rows, {b.add(from, k), b.add(column, c * lanes)}, lanes,
                        width % cut.columns() == 0);
        };
        Values acc;
        for (int64_t i = 0; i < cut.rows * chunks; ++i)
          acc.push_back(b.load(sums, place(block, group, i), lanes));
        acc = accumulate(b, cut, count, {readA, readB}, acc);
        for (int64_t i = 0; i < cut.rows * chunks; ++i)
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
    return tiles(part, [&](Value block, Value group, Value part) {
      Values acc;
      for (int64_t i = 0; i < cut.rows * chunks; ++i)
        acc.push_back(b.load(sums, place(block, group, i), lanes));
      Value column = b.mul(group, cut.columns());
      return finish(cut, acc, b.index(p.m), block, first, column,
                    width % cut.columns() == 0, part);
    });
  }

  /// `count` rows of B from `from` on, a group of columns after the other:
  /// [groups, count, columns].
  Value copyRows(const Cut &cut, Value from, int64_t count, Value first,
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

  Value elementOfA(const Cut &cut, Value a, Value block, int64_t r, Value k) {
    if (a == p.a)
      return tensor::ExtractOp::create(
          b, a, ValueRange{b.add(b.mul(block, cut.rows), r), k});
    return tensor::ExtractOp::create(b, a, ValueRange{block, k, b.index(r)});
  }

  // [finish]
  /// What comes after the product, then the tile's vectors to `part`, whose
  /// first column is column `first` of the matrix. Rows and columns that a tile
  /// has beyond it are computed from zeros and not written.
  Value finish(const Cut &cut, Values acc, Value m, Value block, Value first,
               Value column, bool wholeColumns, Value part) {
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

  /// One tile, written into `part`: the columns of this group.
  Value tile(const Cut &cut, Value m, Value a, Value columns, Value first,
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
          columns,
          {b.add(first, c / perPanel), k, b.index(c % perPanel * lanes)},
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
};

//===--- The pass ---------------------------------------------------------===//

/// "bfloat16" where the product's B is a constant of that type.
bool isBF16(const Product &p) {
  auto argument = dyn_cast<BlockArgument>(p.b);
  auto function =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
               : nullptr;
  auto type = function ? function.getArgAttrOfType<StringAttr>(
                             argument.getArgNumber(), ch9::kConstantAttr)
                       : nullptr;
  return type && type.getValue() == "bfloat16";
}

struct KernelPass : TiledPass<KernelPass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelPass)
  KernelPass(const Target &target) : TiledPass(target.tile) {
    dot = target.dot;
  }
  KernelPass(const KernelPass &other) : TiledPass(other) { dot = other.dot; }
  StringRef getArgument() const final { return "ch10-kernel"; }
  StringRef getDescription() const final {
    return "products become loops over register tiles";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<bufferization::BufferizationDialect, memref::MemRefDialect,
                    scf::SCFDialect, tensor::TensorDialect,
                    vector::VectorDialect, x86vector::X86VectorDialect>();
  }

  void runOnOperation() final {
    std::optional<Tile> tile = getTile();
    if (!tile)
      return;
    target = {*tile, dot && tile->lanes == 16, false}; // it takes 16 pairs
    SmallVector<std::pair<Operation *, Product>> products;
    getOperation().walk([&](linalg::LinalgOp op) {
      std::optional<Product> p = productOf(op);
      if (p && p->m && p->k && p->n)
        products.emplace_back(op, *p);
    });
    auto prepared =
        prepareConstants(getOperation(), products, [&](const Product &p) {
          return cutFor(target, -1, isBF16(p));
        });
    for (auto &[op, p] : products) {
      // What it multiplies may have been another product, and is loops now.
      p.a = op->getOperand(0);
      p.b = op->getOperand(1);
      expand(op, p, prepared.contains(p.b));
    }
  }

  // [expand]
  void expand(Operation *op, const Product &p, bool prepared) {
    Value result = op->getResult(0);
    bool bf16 = isBF16(p);
    bool streamed = !prepared && streams(p, bf16);
    auto epilogue = result.hasOneUse()
                        ? dyn_cast<linalg::GenericOp>(*result.user_begin())
                        : nullptr;
    if (epilogue && !isEpilogue(epilogue, result))
      epilogue = nullptr;
    Operation *last = epilogue ? epilogue.getOperation() : op;
    OpBuilder at(last);
    KernelBuilder b(op->getLoc(), at);
    Loops loops{b, p, epilogue, result, prepared};
    Value made;
    if (streamed) {
      made = loops.stream(cutForExactly(target, p.m, bf16));
    } else if (p.m > 0) {
      made = loops.build(cutForExactly(target, p.m, bf16), b.index(p.m));
    } else {
      Value m = tensor::DimOp::create(b, p.a, 0);
      made = choose(b, m, {1, target.tile.rows / 4, target.tile.rows / 2},
                    result.getType(), [&](int64_t rows) {
                      return loops.build(cutFor(target, rows, bf16), m);
                    });
    }
    last->getResult(0).replaceAllUsesWith(made);
    last->erase();
    if (epilogue)
      op->erase();
  }
  // [/expand]

  // [choose]
  /// build(n) for the first n of `sizes` that m does not exceed, else
  /// build(-1).
  Value choose(KernelBuilder &b, Value m, ArrayRef<int64_t> sizes, Type type,
               function_ref<Value(int64_t)> build) {
    while (sizes.size() > 1 && sizes[0] >= sizes[1])
      sizes = sizes.drop_front();
    if (sizes.empty())
      return build(-1);
    Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::ule, m,
                                       b.index(sizes[0]));
    auto either = scf::IfOp::create(b, TypeRange{type}, fits, true, true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(either.thenBlock());
    scf::YieldOp::create(b, build(sizes[0]));
    b.setInsertionPointToStart(either.elseBlock());
    scf::YieldOp::create(b, choose(b, m, sizes.drop_front(), type, build));
    return either.getResult(0);
  }
  // [/choose]

  Target target = hostTarget();
  Option<bool> dot{*this, "dot",
                   llvm::cl::desc("multiply pairs of bfloat16 by AVX512-BF16"),
                   llvm::cl::init(hostHasBF16Dot())};
};

} // namespace

Target hostTarget() { return {hostTile(), hostHasBF16Dot(), false}; }

std::unique_ptr<Pass> createKernelPass(const Target &target) {
  return std::make_unique<KernelPass>(target);
}

} // namespace ch10
