//===- dialect.cpp - the ops that ch.13 adds to the transformer dialect ---===//
//
//   GptOps.td --mlir-tblgen--> classes   (included below)
//   this file                  result types that are computed, and verifiers
//
// The dialect itself is ch.11's. What is new arrives through an extension of
// the registry: it runs when a context loads the dialect.
//
//===----------------------------------------------------------------------===//

#include "ch13/GptOps.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/DialectRegistry.h"
#include <cmath>

using namespace mlir;
using namespace transformer;

#define GET_OP_CLASSES
#include "ch13/GptOps.cpp.inc"

// [register]
void ch13::registerOps(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, TransformerDialect *dialect) {
    dialect->registerOps<
#define GET_OP_LIST
#include "ch13/GptOps.cpp.inc"
        >();
  });
}
// [/register]

/// A width as a verifier prints it.
static std::string sizeText(int64_t size) {
  return ShapedType::isDynamic(size) ? "?" : std::to_string(size);
}

//===----------------------------------------------------------------------===//
// embedding
//===----------------------------------------------------------------------===//

/// table [V, D], ids [T] -> [T, D]
LogicalResult EmbeddingOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor operands,
                                            SmallVectorImpl<Type> &types) {
  auto table = dyn_cast<RankedTensorType>(operands.getTable().getType());
  auto ids = dyn_cast<RankedTensorType>(operands.getIds().getType());
  if (!table || !ids || table.getRank() != 2 || ids.getRank() != 1)
    return emitOptionalError(
        loc, "expected a table of rank 2 and ids of rank 1, got ",
        operands.getTable().getType(), " and ", operands.getIds().getType());
  types.push_back(table.clone({ids.getDimSize(0), table.getDimSize(1)}));
  return success();
}

//===----------------------------------------------------------------------===//
// columns
//===----------------------------------------------------------------------===//

LogicalResult ColumnsOp::inferReturnTypes(MLIRContext *,
                                          std::optional<Location> loc,
                                          Adaptor operands,
                                          SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands.getInput().getType());
  if (!input || input.getRank() != 2)
    return emitOptionalError(loc, "expected a matrix, got ",
                             operands.getInput().getType());
  types.push_back(input.clone(
      {input.getDimSize(0), static_cast<int64_t>(operands.getCount())}));
  return success();
}

LogicalResult ColumnsOp::verify() {
  int64_t width = getInput().getType().getDimSize(1);
  int64_t first = getFirst(), end = first + getCount();
  if (!ShapedType::isDynamic(width) && end > width)
    return emitOpError("expected columns within 0 to ")
           << width - 1 << ", got " << first << " to " << end - 1;
  return success();
}

//===----------------------------------------------------------------------===//
// causal_mask, masked_softmax
//===----------------------------------------------------------------------===//

LogicalResult CausalMaskOp::verify() {
  RankedTensorType type = getType();
  if (!type.hasStaticShape() || type.getDimSize(0) != type.getDimSize(1))
    return emitOpError("expected a square of known size, got ") << type;
  return success();
}

// [verify-masked-softmax]
LogicalResult MaskedSoftmaxOp::verify() {
  ArrayRef<int64_t> matrix = getInput().getType().getShape().take_back(2);
  ArrayRef<int64_t> mask = getMask().getType().getShape();
  if (!sizesAgree(matrix[0], mask[0]) || !sizesAgree(matrix[1], mask[1]))
    return emitOpError("expected a mask of ")
           << sizeText(matrix[0]) << "x" << sizeText(matrix[1]) << ", got "
           << sizeText(mask[0]) << "x" << sizeText(mask[1]);
  return success();
}
// [/verify-masked-softmax]

//===----------------------------------------------------------------------===//
// rope
//===----------------------------------------------------------------------===//

LogicalResult RopeOp::verify() {
  int64_t width = getInput().getType().getDimSize(1), heads = getNumHeads();
  if (ShapedType::isDynamic(width) || width % (2 * heads) != 0)
    return emitOpError("expected heads of an even width: a multiple of ")
           << 2 * heads << " columns, got " << sizeText(width);
  float base = getBase().convertToFloat();
  if (!std::isfinite(base) || base <= 0)
    return emitOpError("expected a positive base, got ")
           << std::to_string(base);
  return success();
}
