//===- lowering.cpp - step 9: nn -> linalg on tensors ---------------------===//
//
// Static shapes only; the chapter's src/lowering.cpp does the others too.
//
//===----------------------------------------------------------------------===//
#include "NN.h"

#include "ch9/Linalg.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;
using namespace nn;

namespace nn {
#define GEN_PASS_DEF_TOLINALG
#include "NNPasses.h.inc"
} // namespace nn

namespace {

// [relu]
/// nn.relu -> linalg.generic { arith.maximumf }
struct LowerRelu : OpConversionPattern<ReluOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(ReluOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    rewriter.replaceOp(
        op,
        ch9::elementwise(b, operands.getInput(),
                         [](ImplicitLocOpBuilder &b, ValueRange e) -> Value {
                           Value zero = ch9::constant(b, 0.0);
                           return arith::MaximumFOp::create(b, e[0], zero);
                         }));
    return success();
  }
};
// [/relu]

/// nn.transpose -> linalg.transpose
struct LowerTranspose : OpConversionPattern<TransposeOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(TransposeOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = op.getType();
    if (!type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "a size is unknown");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value empty = tensor::EmptyOp::create(b, type.getShape(), b.getF32Type());
    auto moved = linalg::TransposeOp::create(b, operands.getInput(), empty,
                                             ArrayRef<int64_t>{1, 0});
    rewriter.replaceOp(op, moved.getResult());
    return success();
  }
};

// [matmul]
/// nn.matmul -> linalg.fill of 0, linalg.matmul
struct LowerMatmul : OpConversionPattern<MatmulOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult
  matchAndRewrite(MatmulOp op, OpAdaptor operands,
                  ConversionPatternRewriter &rewriter) const override {
    RankedTensorType type = op.getType();
    if (!type.hasStaticShape())
      return rewriter.notifyMatchFailure(op, "a size is unknown");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value zeros = ch9::filled(
        b, getAsIndexOpFoldResult(b.getContext(), type.getShape()), 0.0);
    rewriter.replaceOpWithNewOp<linalg::MatmulOp>(
        op, TypeRange{type}, operands.getOperands(), ValueRange{zeros});
    return success();
  }
};
// [/matmul]

// [pass]
struct ToLinalgPass : nn::impl::ToLinalgBase<ToLinalgPass> {
  void runOnOperation() final {
    ConversionTarget target(getContext());
    target.addIllegalDialect<NNDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerRelu, LowerTranspose, LowerMatmul>(&getContext());
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};
// [/pass]

} // namespace
