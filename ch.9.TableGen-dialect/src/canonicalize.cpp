//===- canonicalize.cpp - folders, and two patterns -----------------------===//
//
//   fold      an op is replaced by a value that is there already, or by a
//             constant; it makes no op
//   pattern   ops are replaced by other ops
//
// Both run in --canonicalize. The rule here: a result may not change by a bit.
// So x * 1 folds, and x + 0 does not (-0 + 0 is +0), but x + -0 does.
//
//===----------------------------------------------------------------------===//

#include "ch9/NN.h"

#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace nn;

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

// [folders]
OpFoldResult AddOp::fold(FoldAdaptor) {
  if (matchPattern(getRhs(), m_NegZeroFloat()))
    return getLhs(); // x + -0 is x, for every x
  return {};
}

OpFoldResult MulOp::fold(FoldAdaptor) {
  if (matchPattern(getRhs(), m_OneFloat()))
    return getLhs();
  return {};
}

OpFoldResult ReluOp::fold(FoldAdaptor operands) {
  if (getInput().getDefiningOp<ReluOp>())
    return getInput(); // relu(relu(x))
  // relu of a constant: known now.
  auto constant = dyn_cast_or_null<DenseFPElementsAttr>(operands.getInput());
  if (!constant)
    return {};
  APFloat zero = APFloat::getZero(APFloat::IEEEsingle());
  return constant.mapValues(
      cast<RankedTensorType>(getType()).getElementType(),
      [&](const APFloat &x) { return maximum(x, zero).bitcastToAPInt(); });
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  if (auto inner = getInput().getDefiningOp<TransposeOp>())
    return inner.getInput();
  return {};
}
// [/folders]

//===----------------------------------------------------------------------===//
// Patterns
//===----------------------------------------------------------------------===//

namespace {

/// For NNPatterns.td.
Value linearOf(OpBuilder &b, Location loc, Value input, Value weight) {
  return LinearOp::create(b, loc, input, weight, /*bias=*/Value());
}

#include "ch9/NNPatterns.cpp.inc"

// [add-bias]
/// nn.add (nn.linear %x, %w), %b -> nn.linear %x, %w, %b    %b a vector
struct AddOfLinearTakesBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    auto linear = op.getLhs().getDefiningOp<LinearOp>();
    if (!linear)
      return rewriter.notifyMatchFailure(op, "lhs is no nn.linear");
    if (linear.getBias())
      return rewriter.notifyMatchFailure(op, "there is a bias already");
    if (op.getRhs().getType().getRank() != 1)
      return rewriter.notifyMatchFailure(op, "rhs is no vector");
    if (!linear->hasOneUse())
      return rewriter.notifyMatchFailure(
          op, "without the bias the product is used elsewhere too");
    rewriter.replaceOpWithNewOp<LinearOp>(op, linear.getInput(),
                                          linear.getWeight(), op.getRhs());
    return success();
  }
};
// [/add-bias]

} // namespace

void AddOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  patterns.add<AddOfLinearTakesBias>(context);
}

void MatmulOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *) {
  populateWithGenerated(patterns);
}
