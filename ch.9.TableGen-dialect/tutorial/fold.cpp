//===- fold.cpp - step 6: ops that are a value we have already ------------===//
#include "NN.h"

using namespace mlir;
using namespace nn;

// [fold]
OpFoldResult ReluOp::fold(FoldAdaptor) {
  if (getInput().getDefiningOp<ReluOp>())
    return getInput(); // relu(relu(x)): a value
  return {};           // nothing to say
}

OpFoldResult TransposeOp::fold(FoldAdaptor operands) {
  if (auto inner = getInput().getDefiningOp<TransposeOp>())
    return inner.getInput();
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(operands.getInput()))
    return splat.resizeSplat(getType()); // all elements equal: a constant
  return {};
}
// [/fold]

// [materialize]
Operation *NNDialect::materializeConstant(OpBuilder &b, Attribute value,
                                          Type type, Location loc) {
  return arith::ConstantOp::materialize(b, value, type, loc);
}
// [/materialize]
