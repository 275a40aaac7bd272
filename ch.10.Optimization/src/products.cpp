//===- products.cpp - products as the schedules want to find them ---------===//
//
//   ch10-products   nn.linear's generic -> linalg.transpose, linalg.matmul
//   ch10-pad        127x769x3071 -> 128x772x3072, zeros where nothing was (for
//                   a tile of 8 x 32)
//
// A sum that goes on with 0 * 0 stays what it is. (Only a -0, which comes of
// products too small for a float, becomes +0.)
//
//===----------------------------------------------------------------------===//

#include "Products.h"
#include "TiledPass.h"
#include "ch10/Passes.h"
#include "ch9/Linalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

// [product-of]
std::optional<ch10::Product> ch10::productOf(linalg::LinalgOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumLoops() != 3 ||
      op.getNumReductionLoops() != 1)
    return std::nullopt;
  MLIRContext *context = op.getContext();
  AffineExpr i, j, k;
  bindDims(context, i, j, k);
  auto maps = [&](ArrayRef<AffineExpr> b) {
    return SmallVector<AffineMap>{AffineMap::get(3, 0, {i, k}, context),
                                  AffineMap::get(3, 0, b, context),
                                  AffineMap::get(3, 0, {i, j}, context)};
  };
  SmallVector<AffineMap> own = op.getIndexingMapsArray();
  bool transposed = own == maps({j, k});
  if (!transposed && own != maps({k, j}))
    return std::nullopt;
  // acc + a * b, of f32
  Block *body = op.getBlock();
  auto yield = cast<linalg::YieldOp>(body->getTerminator());
  auto add = yield.getOperand(0).getDefiningOp<arith::AddFOp>();
  auto mul = add ? add.getRhs().getDefiningOp<arith::MulFOp>() : nullptr;
  if (!mul || add.getLhs() != body->getArgument(2) ||
      mul.getLhs() != body->getArgument(0) ||
      mul.getRhs() != body->getArgument(1) || !mul.getType().isF32())
    return std::nullopt;
  // The sum begins with zeros.
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  if (!fill || !matchPattern(fill.getInputs()[0], m_PosZeroFloat()))
    return std::nullopt;
  auto shapeOf = [](Value v) {
    return cast<RankedTensorType>(v.getType()).getShape();
  };
  Value a = op.getDpsInputs()[0], b = op.getDpsInputs()[1];
  if (ShapedType::isDynamic(shapeOf(a)[1]) ||
      ShapedType::isDynamicShape(shapeOf(b)))
    return std::nullopt;
  return Product{a,
                 b,
                 transposed,
                 shapeOf(a)[0],
                 shapeOf(a)[1],
                 shapeOf(b)[transposed ? 0 : 1]};
}
// [/product-of]

LogicalResult ch10::findProducts(ModuleOp module,
                                 SmallVectorImpl<linalg::LinalgOp> &found) {
  WalkResult walked = module.walk([&](linalg::LinalgOp op) {
    std::optional<Product> p = productOf(op);
    if (p && ShapedType::isDynamic(p->m)) {
      op->emitOpError("has a number of rows that is not known yet: of the "
                      "ladder, only 'baseline' and 'optimized' take that");
      return WalkResult::interrupt();
    }
    if (p)
      found.push_back(op);
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

Value ch10::padded(ImplicitLocOpBuilder &b, Value value,
                   ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getShape() == sizes)
    return value;
  SmallVector<OpFoldResult> all = getAsIndexOpFoldResult(b.getContext(), sizes);
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0)),
      ones(sizes.size(), b.getIndexAttr(1));
  SmallVector<OpFoldResult> own =
      getAsIndexOpFoldResult(b.getContext(), type.getShape());
  return tensor::InsertSliceOp::create(b, value, ch9::filled(b, all, 0.0),
                                       zeros, own, ones);
}

Value ch10::corner(ImplicitLocOpBuilder &b, Value value,
                   ArrayRef<int64_t> sizes) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getShape() == sizes)
    return value;
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0)),
      ones(sizes.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(
      b, value, zeros, getAsIndexOpFoldResult(b.getContext(), sizes), ones);
}

namespace {

/// Products are collected first: what replaces them must not be met again.
template <typename Fn> LogicalResult eachProduct(ModuleOp module, Fn fn) {
  SmallVector<linalg::LinalgOp> found;
  if (failed(ch10::findProducts(module, found)))
    return failure();
  for (linalg::LinalgOp op : found) {
    OpBuilder at(op);
    ImplicitLocOpBuilder b(op.getLoc(), at);
    Value result = fn(b, op, *ch10::productOf(op));
    op->getResult(0).replaceAllUsesWith(result);
    op->erase();
  }
  return success();
}

/// fill, linalg.matmul of [M, K] and [K, N]
Value matmul(ImplicitLocOpBuilder &b, Value x, Value y) {
  int64_t m = cast<RankedTensorType>(x.getType()).getDimSize(0);
  int64_t n = cast<RankedTensorType>(y.getType()).getDimSize(1);
  Value zero =
      ch9::filled(b, getAsIndexOpFoldResult(b.getContext(), {m, n}), 0.0);
  return linalg::MatmulOp::create(b, TypeRange{zero.getType()},
                                  ValueRange{x, y}, zero)
      .getResult(0);
}

struct ProductsPass : PassWrapper<ProductsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ProductsPass)
  StringRef getArgument() const final { return "ch10-products"; }
  StringRef getDescription() const final {
    return "every product becomes a linalg.matmul";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect>();
  }
  void runOnOperation() final {
    auto rewrite = [](ImplicitLocOpBuilder &b, linalg::LinalgOp op,
                      const ch10::Product &p) {
      if (!p.m || !p.k || !p.n) // sums of nothing, or no sums: the zeros
        return op.getDpsInits()[0];
      Value right = p.b;
      if (p.transposed) {
        Value empty = tensor::EmptyOp::create(b, ArrayRef<int64_t>{p.k, p.n},
                                              b.getF32Type());
        right =
            linalg::TransposeOp::create(b, p.b, empty, ArrayRef<int64_t>{1, 0})
                .getResults()[0];
      }
      return matmul(b, p.a, right);
    };
    if (failed(eachProduct(getOperation(), rewrite)))
      signalPassFailure();
  }
};

// [pad]
struct PadPass : ch10::TiledPass<PadPass> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PadPass)
  PadPass(const ch10::Tile &tile, int64_t block) : TiledPass(tile) {
    this->block = block;
  }
  PadPass(const PadPass &other) : TiledPass(other) { block = other.block; }
  StringRef getArgument() const final { return "ch10-pad"; }
  StringRef getDescription() const final {
    return "fills products up with zeros to multiples of the tile";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect>();
  }
  void runOnOperation() final {
    std::optional<ch10::Tile> tile = getTile();
    if (!tile)
      return;
    auto rewrite = [&](ImplicitLocOpBuilder &b, linalg::LinalgOp,
                       const ch10::Product &p) {
      int64_t m = llvm::alignTo(p.m, tile->rows), k = llvm::alignTo(p.k, 4),
              n = llvm::alignTo(p.n, block ? block : tile->columns);
      Value c =
          matmul(b, ch10::padded(b, p.a, {m, k}), ch10::padded(b, p.b, {k, n}));
      return ch10::corner(b, c, {p.m, p.n});
    };
    if (failed(eachProduct(getOperation(), rewrite)))
      signalPassFailure();
  }

  Option<int64_t> block{*this, "block",
                        llvm::cl::desc("columns to a multiple of this (0: of "
                                       "the tile's)"),
                        llvm::cl::init(0)};
};
// [/pad]

} // namespace

std::unique_ptr<Pass> ch10::createProductsPass() {
  return std::make_unique<ProductsPass>();
}
std::unique_ptr<Pass> ch10::createPadPass(const Tile &tile, int64_t block) {
  return std::make_unique<PadPass>(tile, block);
}
