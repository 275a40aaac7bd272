//===- Kernel.h - how a product becomes loops over vectors ----------------===//
//
//   kernel.cpp         finds products, chooses the cut
//   kernel_loops.cpp   the loops around a tile
//   kernel_stream.cpp  other loops, for few rows by a matrix that nobody packed
//   kernel_pack.cpp    A and B in the order in which they are read
//   kernel_tile.cpp    one tile of C: the loop over k, and what comes after
//
//===----------------------------------------------------------------------===//
#pragma once

#include "Products.h"
#include "ch10/Tile.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace ch10 {

using Values = llvm::SmallVector<mlir::Value>;

/// How one product is computed.
struct Cut {
  Tile tile;
  int64_t rows;   // of a tile: few where the product has few
  int64_t panels; // side by side in a tile: several where it has few rows
  bool bf16;      // both operands rounded to bfloat16, in pairs along k
  bool dot;       // bf16: by the processor's own instruction

  /// Columns of one panel, and of a tile.
  int64_t panel() const { return tile.columns; }
  int64_t columns() const { return panels * tile.columns; }
};

/// So many rows of C, from `row` on.
struct RowBlock {
  mlir::Value number, row;
  int64_t rows;
};

/// Loops and vectors in a line. Everything is on tensors: a loop that writes
/// carries the tensor it writes into.
class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  /// Whether parallel() is a loop: there is less to do than waking a thread
  /// takes.
  bool little = false;

  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value ceilDiv(mlir::Value a, int64_t b);
  mlir::Value min(mlir::Value a, mlir::Value b);

  /// for (iv = lower; iv < upper; iv += step) carried = body(iv, carried)
  Values loop(mlir::Value lower, mlir::Value upper, int64_t step,
              mlir::ValueRange carried,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);

  /// For each i below `count`, in any order or at once: body(i) gives what goes
  /// to the part of `into` that slice(i) names, handed to body as a value.
  struct Slice {
    llvm::SmallVector<mlir::OpFoldResult> offsets, sizes;
  };
  mlir::Value
  parallel(mlir::OpFoldResult count, mlir::Value into,
           llvm::function_ref<Slice(mlir::Value i)> slice,
           llvm::function_ref<mlir::Value(mlir::Value i, mlir::Value)> body);

  /// `lanes` elements of the last axis from `at` on; what lies beyond it is 0
  /// where not `whole`.
  mlir::Value load(mlir::Value tensor, mlir::ValueRange at, int64_t lanes,
                   bool whole = true);
  /// `tensor` with `vector` along its last axis, from `at` on.
  mlir::Value store(mlir::Value vector, mlir::Value tensor,
                    mlir::ValueRange at);
  mlir::Value splat(mlir::Value scalar, int64_t lanes);
};

//===--- kernel_pack.cpp --------------------------------------------------===//

/// A [M, K] as [blocks, K, rows], each block from row firstRow(its number) on,
/// filled up with zeros beyond M. bf16: as [blocks, K/2, rows] pairs of i32.
mlir::Value packRows(KernelBuilder &b, const Cut &cut, mlir::Value a,
                     mlir::Value blocks,
                     llvm::function_ref<mlir::Value(mlir::Value)> firstRow);

/// The type of `count` panels.
mlir::RankedTensorType panelsType(KernelBuilder &b, const Cut &cut,
                                  const Product &p, int64_t count);

/// `count` panels of B from number `first` on: [count, K, panel], zeros beyond
/// the last column. bf16: [count, K/2, panel] pairs.
mlir::Value packPanels(KernelBuilder &b, const Cut &cut, const Product &p,
                       mlir::Value first, int64_t count);

/// "float32" or "bfloat16" where `value` is an argument of a function that
/// never changes (ch9's kConstantAttr), "" where not.
llvm::StringRef constantType(mlir::Value value);

/// How many panels a constant has in its own order: a multiple of what a tile
/// can have side by side.
int64_t numPanels(const Cut &cut, const Product &p);

/// Arguments of the functions in `module` that are constant and only ever the B
/// of `products`, all alike, get the type of their panels, a function that
/// makes these, and an entry of ch9's kPreparedAttr. Returns them.
llvm::SmallPtrSet<mlir::Value, 4>
prepareConstants(mlir::ModuleOp module,
                 llvm::ArrayRef<std::pair<mlir::Operation *, Product>> products,
                 llvm::function_ref<Cut(const Product &)> cutOf);

//===--- kernel_tile.cpp --------------------------------------------------===//

/// Where a tile finds its operands, each by indices of its own making.
struct Operands {
  llvm::function_ref<mlir::Value(int64_t row, mlir::Value k)> a;   // a scalar
  llvm::function_ref<mlir::Value(int64_t chunk, mlir::Value k)> b; // a vector
  /// Called once in a turn of the loop, with its first k; may be null.
  llvm::function_ref<void(mlir::Value k)> eachTurn = {};
};

/// How many steps of k are written out before the loop turns.
inline constexpr int64_t kUnroll = 4;

/// acc[row * chunks + chunk] after `depth` further steps of k: chains of
/// multiply-adds, from first to last. A chunk is a vector of tile.lanes
/// columns.
Values accumulate(KernelBuilder &b, const Cut &cut, int64_t depth,
                  const Operands &operands, Values acc);

/// Whether `op` can be computed on tiles of `product`, its operand.
bool isEpilogue(mlir::linalg::GenericOp op, mlir::Value product);

/// The elements of `epilogue` at (row, column …), where the product has
/// `value`.
mlir::Value applyEpilogue(KernelBuilder &b, mlir::linalg::GenericOp epilogue,
                          mlir::Value product, mlir::Value value,
                          mlir::Value row, mlir::Value column, bool whole);

//===--- kernel_loops.cpp, kernel_stream.cpp ------------------------------===//

/// Whether B, which lies as it came, is read once from end to end. Each of its
/// elements is used by few rows, and a copy would be read as often as it.
bool streams(const Product &p, bool bf16);

/// Makes the loops of one product.
struct Loops {
  KernelBuilder &b;
  const Product &p;
  mlir::linalg::GenericOp epilogue; // null: there is none
  mlir::Value product;              // what the epilogue knows it as
  bool prepared;                    // p.b has been a constant, is panels now
  /// The panels as memory: only there does "ask for a line" mean something.
  mlir::Value memory = {};

  /// The product of m rows, and what comes after it, as a tensor [m, N].
  mlir::Value build(const Cut &cut, mlir::Value m);
  /// The same for a product that streams().
  mlir::Value stream(const Cut &cut);

  // What these are made of.
  mlir::Value
  columnsAtATime(mlir::Value m, int64_t width,
                 llvm::function_ref<mlir::Value(mlir::Value first,
                                                int64_t width, mlir::Value)>
                     body);
  mlir::Value numBlocks(const Cut &cut, mlir::Value m);
  mlir::Value firstRow(const Cut &cut, mlir::Value block);
  mlir::Value eachBlock(
      const Cut &cut, mlir::Value m, mlir::Value carried,
      llvm::function_ref<mlir::Value(const RowBlock &, mlir::Value)> body);
  mlir::Value rowsOfA(const Cut &cut, mlir::Value m);
  mlir::Value elementOfA(mlir::Value a, const RowBlock &block, int64_t r,
                         mlir::Value k);
  mlir::Value tile(const Cut &cut, mlir::Value m, mlir::Value a,
                   mlir::Value columns, mlir::Value panel, bool columnsInPlace,
                   const RowBlock &block, mlir::Value first, mlir::Value column,
                   bool wholeColumns, mlir::Value part);
  void askForNext(const Cut &cut, mlir::Value panel, mlir::Value block,
                  mlir::Value k, int64_t depth);
  mlir::Value finish(const Cut &cut, Values acc, mlir::Value m,
                     const RowBlock &block, mlir::Value first,
                     mlir::Value column, bool wholeColumns, mlir::Value part);
  mlir::Value streamPiece(const Cut &cut, mlir::Value a, mlir::Value first,
                          int64_t width, mlir::Value part);
  mlir::Value copyRows(const Cut &cut, mlir::Value from, int64_t count,
                       mlir::Value first, int64_t groups);
};

} // namespace ch10
