// append.cpp - transformer.append on tensors.
//
//   transformer.append %past, %next
//     --ch14-lower-append-->
//   %0 = tensor.empty
//   %1 = tensor.insert_slice %past into %0[0, 0]
//   %2 = tensor.insert_slice %next into %1[rows of past, 0]
//
// After bufferization: one new buffer and two copies into it.
#include "ch14/Step.h"
#include "ch14/StepOps.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;
using namespace transformer;

namespace {

// [lower-append]
struct LowerAppend : OpRewritePattern<AppendOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AppendOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().hasStaticShape())
      return rewriter.notifyMatchFailure(op, "its sizes are not known");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    SmallVector<OpFoldResult> ones(2, b.getIndexAttr(1));
    Value grown =
        tensor::EmptyOp::create(b, op.getType().getShape(), b.getF32Type());
    int64_t row = 0;
    for (Value part : {op.getPast(), op.getNext()}) {
      SmallVector<OpFoldResult> offsets = {b.getIndexAttr(row),
                                           b.getIndexAttr(0)};
      grown = tensor::InsertSliceOp::create(
          b, part, grown, offsets, tensor::getMixedSizes(b, b.getLoc(), part),
          ones);
      row += cast<RankedTensorType>(part.getType()).getDimSize(0);
    }
    rewriter.replaceOp(op, grown);
    return success();
  }
};
// [/lower-append]

struct LowerAppendPass : PassWrapper<LowerAppendPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerAppendPass)
  StringRef getArgument() const final { return "ch14-lower-append"; }
  StringRef getDescription() const final {
    return "transformer.append becomes two tensor.insert_slice";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<tensor::TensorDialect>();
  }
  void runOnOperation() final {
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerAppend>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace

std::unique_ptr<Pass> ch14::createLowerAppendPass() {
  return std::make_unique<LowerAppendPass>();
}
