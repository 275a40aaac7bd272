//===- dialect.cpp - three more ops for the transformer dialect -----------===//
//
// ch.11 owns the dialect; this library adds to it. An extension is a function
// that a context calls when it loads the dialect, so ch.11 need not know that
// this chapter exists.
//
//===----------------------------------------------------------------------===//

#include "ch12/Layers.h"
#include "ch12/Lowering.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace transformer;

#define GET_OP_CLASSES
#include "ch12/LayerOps.cpp.inc"

// [extension]
void ch12::registerOps(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, TransformerDialect *dialect) {
    dialect->registerOps<
#define GET_OP_LIST
#include "ch12/LayerOps.cpp.inc"
        >();
  });
}

void ch12::registerDialects(DialectRegistry &registry) {
  ch11::registerDialects(registry);
  registerOps(registry);
}
// [/extension]

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult LayerNormOp::verify() {
  int64_t width = getInput().getType().getDimSize(1);
  for (auto [name, vector] :
       {std::pair("gamma", getGamma()), std::pair("beta", getBeta())})
    if (!sizesAgree(width, vector.getType().getDimSize(0)))
      return emitOpError("expected ")
             << name << " as long as a row of the input, " << width << ", got "
             << vector.getType().getDimSize(0);
  if (!(getEpsilon().convertToFloat() >= 0))
    return emitOpError("expected an epsilon of 0 or more, got ")
           << getEpsilonAttr();
  return success();
}

LogicalResult LinearOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor operands,
                                         SmallVectorImpl<Type> &types) {
  auto x = dyn_cast<RankedTensorType>(operands.getInput().getType());
  auto w = dyn_cast<RankedTensorType>(operands.getWeight().getType());
  if (!x || !w || x.getRank() != 2 || w.getRank() != 2)
    return emitOptionalError(loc, "expected input and weight of rank 2, got ",
                             operands.getInput().getType(), " and ",
                             operands.getWeight().getType());
  types.push_back(x.clone({x.getDimSize(0), w.getDimSize(0)}));
  return success();
}

LogicalResult LinearOp::verify() {
  auto weight = getWeight().getType();
  int64_t columns = getInput().getType().getDimSize(1);
  if (!sizesAgree(columns, weight.getDimSize(1)))
    return emitOpError("expected as many columns in the weight as in the "
                       "input, ")
           << columns << ", got " << weight.getDimSize(1);
  if (!sizesAgree(weight.getDimSize(0), getBias().getType().getDimSize(0)))
    return emitOpError("expected a bias for each row of the weight, ")
           << weight.getDimSize(0) << ", got "
           << getBias().getType().getDimSize(0);
  return success();
}
