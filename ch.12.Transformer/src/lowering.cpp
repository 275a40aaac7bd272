//===- lowering.cpp - from ch.12's ops to ch.11's -------------------------===//
//
//   transformer.linear       --> transformer.transpose, matmul, add (ch.11's)
//   transformer.gelu         --> linalg.generic
//   transformer.layer_norm   --> linalg.generic: mean, variance, normalize
//     --> ch.11's pipeline
//
// Only what is new: everything after this pass is ch.11's, unchanged.
//
//===----------------------------------------------------------------------===//

#include "ch12/Lowering.h"
#include "ch12/Layers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"

#include <cmath>

using namespace mlir;
using namespace transformer;

//===----------------------------------------------------------------------===//
// layer_norm, by meaning
//===----------------------------------------------------------------------===//

/// The sum over a row of what `term` makes of its elements, divided by the
/// width. [T, D] -> [T]
static Value
meanOfRows(ImplicitLocOpBuilder &b, Value x,
           function_ref<Value(ImplicitLocOpBuilder &, Value)> term) {
  Value sum = ch9::reduceRows(
      b, x, 0.0, [&](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        return arith::AddFOp::create(b, e[1], term(b, e[0]));
      });
  Value columns = tensor::DimOp::create(b, x, 1);
  Value width = arith::SIToFPOp::create(
      b, b.getF32Type(),
      arith::IndexCastOp::create(b, b.getI64Type(), columns));
  return ch9::elementwise(
      b, sum, [width](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        return arith::DivFOp::create(b, e[0], width);
      });
}

// [layer-norm]
static Value mean(ImplicitLocOpBuilder &b, Value x) {
  return meanOfRows(b, x, [](ImplicitLocOpBuilder &, Value e) { return e; });
}

/// x - mean: computed once, used by the variance and by the result. The
/// variance as mean(x^2) - mean^2 would need one pass less, and cancels: for a
/// row around 1000 it keeps one correct digit.
static Value center(ImplicitLocOpBuilder &b, Value x, Value mean) {
  return ch9::elementwise(
      b, {x, mean},
      [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        return arith::SubFOp::create(b, e[0], e[1]);
      },
      /*rowwise=*/1);
}

static Value variance(ImplicitLocOpBuilder &b, Value centered) {
  return meanOfRows(b, centered, [](ImplicitLocOpBuilder &b, Value e) -> Value {
    return arith::MulFOp::create(b, e, e);
  });
}

/// centered / sqrt(variance + epsilon) * gamma + beta
static Value normalize(ImplicitLocOpBuilder &b, Value centered, Value variance,
                       Value gamma, Value beta, Value epsilon) {
  Value deviation = ch9::elementwise(
      b, variance, [epsilon](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        Value positive = arith::AddFOp::create(b, e[0], epsilon);
        return math::SqrtOp::create(b, positive);
      });
  return ch9::elementwise(
      b, {centered, deviation, gamma, beta},
      [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
        Value unit = arith::DivFOp::create(b, e[0], e[1]);
        Value scaled = arith::MulFOp::create(b, unit, e[2]);
        return arith::AddFOp::create(b, scaled, e[3]);
      },
      /*rowwise=*/1);
}
// [/layer-norm]

namespace {

struct LowerLayerNorm : OpConversionPattern<LayerNormOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LayerNormOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value x = operands.getInput();
    Value epsilon = arith::ConstantOp::create(b, op.getEpsilonAttr());
    Value centered = center(b, x, mean(b, x));
    rewriter.replaceOp(op, normalize(b, centered, variance(b, centered),
                                     operands.getGamma(), operands.getBeta(),
                                     epsilon));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// linear
//===----------------------------------------------------------------------===//

// [linear]
/// transformer.linear %x, %w, %b
///   -> add (transpose (matmul %w, (transpose %x))), %b
///
/// x w^T needs the columns of w^T, which lie apart in memory. Turned around,
/// the product is w x^T: w is read as it is stored, and only x and the result,
/// which are small beside a weight, are transposed.
struct LowerLinear : OpConversionPattern<LinearOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(LinearOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<int64_t> swap = {1, 0};
    Value xT = TransposeOp::create(b, operands.getInput(), swap);
    Value yT = MatmulOp::create(b, operands.getWeight(), xT);
    Value y = TransposeOp::create(b, yT, swap);
    rewriter.replaceOpWithNewOp<AddOp>(op, y, operands.getBias());
    return success();
  }
};
// [/linear]

//===----------------------------------------------------------------------===//
// gelu
//===----------------------------------------------------------------------===//

// [gelu]
/// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), so that
///
///   gelu(x) = x / (1 + exp(-2u)),   u = sqrt(2 / pi) (x + 0.044715 x^3)
///
/// Where x is very negative, tanh(u) must be exactly -1, or what is left of
/// 1 + tanh(u) is multiplied by a large x. The quotient has no such trap: exp
/// becomes +inf and the result -0.
struct LowerGelu : OpConversionPattern<GeluOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(GeluOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    auto element = [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
      Value x = e[0];
      // -2u = x (linear + cubic x^2)
      Value linear = ch9::constant(b, -2.0 * std::sqrt(2.0 / M_PI));
      Value cubic = ch9::constant(b, -2.0 * std::sqrt(2.0 / M_PI) * 0.044715);
      Value square = arith::MulFOp::create(b, x, x);
      Value slope = arith::AddFOp::create(
          b, linear, arith::MulFOp::create(b, cubic, square));
      Value exp = math::ExpOp::create(b, arith::MulFOp::create(b, x, slope));
      Value one = ch9::constant(b, 1.0);
      return arith::DivFOp::create(b, x, arith::AddFOp::create(b, one, exp));
    };
    rewriter.replaceOp(op, ch9::elementwise(b, operands.getInput(), element));
    return success();
  }
};
// [/gelu]

struct LowerPass : PassWrapper<LowerPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerPass)
  StringRef getArgument() const final { return "ch12-lower"; }
  StringRef getDescription() const final {
    return "layer_norm, linear and gelu become ops of ch.11 and linalg";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<arith::ArithDialect, linalg::LinalgDialect,
                    math::MathDialect, tensor::TensorDialect>();
  }
  void runOnOperation() final {
    // Only this chapter's ops are illegal here; ch.11's are left to its passes.
    ConversionTarget target(getContext());
    target.addIllegalOp<LayerNormOp, LinearOp, GeluOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    ch12::populateLowerPatterns(patterns);
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace

void ch12::populateLowerPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerLayerNorm, LowerLinear, LowerGelu>(patterns.getContext());
}

std::unique_ptr<Pass> ch12::createLowerPass() {
  return std::make_unique<LowerPass>();
}

void ch12::registerPasses() { registerPass(createLowerPass); }

// [pipeline]
void ch12::buildPipeline(OpPassManager &pm) {
  pm.addPass(createLowerPass());
  ch11::buildPipeline(pm);
}
// [/pipeline]
