//===- pack.cpp - products of panels --------------------------------------===//
//
//   C[M, N] = A[M, K] x B[K, N]
//     A -> [M/8, K, 8]     eight rows, k after k          "pack"
//     B -> [N/32, K, 32]   32 columns, k after k          "pack"
//                          (or read as it lies: pack-b=false)
//     C[m, mi, n, ni] += A[m, k, mi] * B[n, k, ni]        "product"
//     relu(C + bias), in the same shape                   "epilogue"
//
// The tile is fixed when the shape is: 8 rows, or as many as make blocks of
// equal height (9 rows are two blocks of 5), and never 1. What a shape lacks is
// filled up with zeros. A row's sum runs over k from first to last whatever the
// tile is.
//
//===----------------------------------------------------------------------===//

#include "Products.h"
#include "TiledPass.h"
#include "ch10/Passes.h"
#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace {

constexpr int64_t kSteps = 16;

Value expand(ImplicitLocOpBuilder &b, Value value, ArrayRef<int64_t> shape,
             ArrayRef<ReassociationIndices> groups) {
  auto type = RankedTensorType::get(shape, b.getF32Type());
  return tensor::ExpandShapeOp::create(b, type, value, groups);
}

/// linalg.transpose into a new tensor, marked for the schedule.
Value packed(ImplicitLocOpBuilder &b, Value value, ArrayRef<int64_t> order) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  for (int64_t axis : order)
    shape.push_back(type.getDimSize(axis));
  Value empty = tensor::EmptyOp::create(b, shape, b.getF32Type());
  auto moved = linalg::TransposeOp::create(b, value, empty, order);
  moved->setAttr("ch10.pack", b.getUnitAttr());
  return moved->getResult(0);
}

/// The product in panels, as a tensor of [M, N] again.
Value packProduct(ImplicitLocOpBuilder &b, const ch10::Product &p,
                  const ch10::Tile &tile, bool packB) {
  // [panels]
  int64_t blocks = llvm::divideCeil(p.m, tile.rows);
  // Two rows at least: one row's product would be vectorized otherwise than
  // as multiply-adds, and its bits would depend on whether it is alone.
  int64_t rows = std::max<int64_t>(2, llvm::divideCeil(p.m, blocks));
  int64_t panels = llvm::divideCeil(p.n, tile.columns);
  int64_t m = blocks * rows, n = panels * tile.columns;
  int64_t k = llvm::alignTo(p.k, kSteps);

  Value a = ch10::padded(b, p.a, {m, k});
  a = expand(b, a, {blocks, rows, k}, {{0, 1}, {2}});
  a = packed(b, a, {0, 2, 1}); // [m, k, mi]
  Value w;
  if (p.transposed) {
    w = ch10::padded(b, p.b, {n, k});
    w = expand(b, w, {panels, tile.columns, k}, {{0, 1}, {2}});
    w = packed(b, w, {0, 2, 1}); // [n, k, ni]
  } else {
    w = ch10::padded(b, p.b, {k, n});
    w = expand(b, w, {k, panels, tile.columns}, {{0}, {1, 2}});
    if (packB)
      w = packed(b, w, {1, 0, 2});
  }
  // [/panels]

  MLIRContext *context = b.getContext();
  AffineExpr im, in, ik, imi, ini;
  bindDims(context, im, in, ik, imi, ini);
  SmallVector<AffineMap> maps = {
      AffineMap::get(5, 0, {im, ik, imi}, context),
      packB || p.transposed ? AffineMap::get(5, 0, {in, ik, ini}, context)
                            : AffineMap::get(5, 0, {ik, in, ini}, context),
      AffineMap::get(5, 0, {im, imi, in, ini}, context)};
  auto parallel = utils::IteratorType::parallel;
  SmallVector<utils::IteratorType> loops(5, parallel);
  loops[2] = utils::IteratorType::reduction;
  SmallVector<int64_t> shape = {blocks, rows, panels, tile.columns};
  Value zero = ch9::filled(b, getAsIndexOpFoldResult(context, shape), 0.0);
  auto product = linalg::GenericOp::create(
      b, TypeRange{zero.getType()}, ValueRange{a, w}, zero, maps, loops,
      [](OpBuilder &nested, Location loc, ValueRange e) {
        ImplicitLocOpBuilder b(loc, nested);
        Value times = arith::MulFOp::create(b, e[0], e[1]);
        Value sum = arith::AddFOp::create(b, e[2], times);
        linalg::YieldOp::create(b, sum);
      });
  product->setAttr("ch10.product", b.getUnitAttr());
  SmallVector<ReassociationIndices> groups = {{0, 1}, {2, 3}};
  Value flat = tensor::CollapseShapeOp::create(
      b, RankedTensorType::get({m, n}, b.getF32Type()), product.getResult(0),
      groups);
  return ch10::corner(b, flat, {p.m, p.n});
}

struct PackPass : ch10::TiledPass<PackPass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PackPass)
  PackPass(const ch10::Tile &tile, bool packB) : TiledPass(tile) {
    this->packB = packB;
  }
  PackPass(const PackPass &other) : TiledPass(other) { packB = other.packB; }
  StringRef getArgument() const final { return "ch10-pack"; }
  StringRef getDescription() const final {
    return "products become products of panels";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<linalg::LinalgDialect, memref::MemRefDialect,
                    tensor::TensorDialect>();
  }

  void runOnOperation() final {
    std::optional<ch10::Tile> tile = getTile();
    if (!tile)
      return;
    SmallVector<linalg::LinalgOp> found;
    if (failed(ch10::findProducts(getOperation(), found)))
      return signalPassFailure();
    for (linalg::LinalgOp op : found) {
      ch10::Product p = *ch10::productOf(op);
      if (!p.m || !p.k || !p.n)
        continue;
      OpBuilder at(op);
      ImplicitLocOpBuilder b(op.getLoc(), at);
      op->getResult(0).replaceAllUsesWith(packProduct(b, p, *tile, packB));
      op->erase();
    }
    if (failed(moveEpilogues()))
      return signalPassFailure();
    markEpilogues();
    viewResults();
  }

  /// elementwise(collapse_shape(product)) ->
  /// collapse_shape(elementwise(product))
  LogicalResult moveEpilogues() {
    RewritePatternSet patterns(&getContext());
    linalg::populateFoldReshapeOpsByExpansionPatterns(
        patterns, [](OpOperand *operand) {
          auto collapse =
              operand->get().getDefiningOp<tensor::CollapseShapeOp>();
          if (!collapse || !collapse->hasOneUse())
            return false;
          Operation *product = collapse.getSrc().getDefiningOp();
          return product && product->hasAttr("ch10.product");
        });
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }

  // [view]
  /// A result that is written whole is written as it is computed: not the
  /// tensor is collapsed but the output is looked at in the tensor's shape.
  void viewResults() {
    getOperation().walk([](bufferization::MaterializeInDestinationOp op) {
      auto collapse = op.getSource().getDefiningOp<tensor::CollapseShapeOp>();
      if (!collapse || !isa<MemRefType>(op.getDest().getType()))
        return;
      OpBuilder at(op);
      Value view = memref::ExpandShapeOp::create(
          at, op.getLoc(), collapse.getSrcType().getShape(), op.getDest(),
          collapse.getReassociationIndices());
      op.getSourceMutable().assign(collapse.getSrc());
      op.getDestMutable().assign(view);
    });
  }
  // [/view]

  // [mark]
  /// Marks what is to be computed on the tiles of each product. A product with
  /// nothing behind it, or with what belongs to another product already, gets
  /// an op that only hands the elements on.
  void markEpilogues() {
    getOperation().walk([&](linalg::GenericOp op) {
      if (!op->hasAttr("ch10.product"))
        return;
      auto user = op->hasOneUse()
                      ? dyn_cast<linalg::GenericOp>(*op->user_begin())
                      : nullptr;
      if (!user || user->hasAttr("ch10.epilogue") || user.getNumLoops() != 4 ||
          user.getNumParallelLoops() != 4) {
        OpBuilder at(op->getContext());
        at.setInsertionPointAfter(op);
        ImplicitLocOpBuilder b(op.getLoc(), at);
        auto same = [](ImplicitLocOpBuilder &, ValueRange e) { return e[0]; };
        Value handed = ch9::elementwise(b, op.getResult(0), same);
        user = handed.getDefiningOp<linalg::GenericOp>();
        op.getResult(0).replaceAllUsesExcept(handed, user);
      }
      user->setAttr("ch10.epilogue", UnitAttr::get(&getContext()));
    });
  }
  // [/mark]

  Option<bool> packB{*this, "pack-b",
                     llvm::cl::desc("B too, not only A; a transposed one is "
                                    "packed in any case"),
                     llvm::cl::init(true)};
};

} // namespace

std::unique_ptr<Pass> ch10::createPackPass(const Tile &tile, bool packB) {
  return std::make_unique<PackPass>(tile, packB);
}
