//===- patterns.cpp - step 7: ops that become other ops -------------------===//
#include "NN.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace nn;

namespace {

#include "NNPatterns.cpp.inc"

// [pattern]
/// transpose(matmul(a, b)) -> matmul(transpose(b), transpose(a))
///
/// Exact: each element is the same sum in the same order. Done only where it
/// gets rid of a transpose.
struct TransposeOfMatmul : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getInput().getDefiningOp<MatmulOp>();
    if (!product)
      return rewriter.notifyMatchFailure(op, "input is no nn.matmul");
    if (!product->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the product is used elsewhere");
    if (!product.getLhs().getDefiningOp<TransposeOp>() &&
        !product.getRhs().getDefiningOp<TransposeOp>())
      return rewriter.notifyMatchFailure(op, "no transpose would go away");
    Location loc = op.getLoc();
    Value lhs = TransposeOp::create(rewriter, loc, product.getRhs());
    Value rhs = TransposeOp::create(rewriter, loc, product.getLhs());
    rewriter.replaceOpWithNewOp<MatmulOp>(op, lhs, rhs);
    return success();
  }
};
// [/pattern]

} // namespace

// [populate]
void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  populateWithGenerated(patterns); // those of NN.td
  patterns.add<TransposeOfMatmul>(context);
}
// [/populate]
