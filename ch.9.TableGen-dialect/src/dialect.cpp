//===- dialect.cpp - the dialect nn ---------------------------------------===//
//
//   NNOps.td --mlir-tblgen--> classes   (included below)
//   this file                           what TableGen cannot say: result types
//                                       that are computed, verifiers, and what
//                                       an op does to one element
//
//===----------------------------------------------------------------------===//

#include "ch9/NN.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace nn;

#include "ch9/NNOpsDialect.cpp.inc"

#include "ch9/NNInterfaces.cpp.inc"

#define GET_OP_CLASSES
#include "ch9/NNOps.cpp.inc"

// [initialize]
void NNDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "ch9/NNOps.cpp.inc"
      >();
}
// [/initialize]

// [materialize]
Operation *NNDialect::materializeConstant(OpBuilder &b, Attribute value,
                                          Type type, Location loc) {
  return arith::ConstantOp::materialize(b, value, type, loc);
}
// [/materialize]

/// Whether two sizes can be the same: a dynamic one may be anything.
static bool sizesAgree(int64_t a, int64_t b) {
  return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b;
}

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

// [verify-binary]
template <typename BinaryOp> static LogicalResult verifyBinary(BinaryOp op) {
  auto lhs = cast<RankedTensorType>(op.getLhs().getType());
  auto rhs = cast<RankedTensorType>(op.getRhs().getType());
  bool sameShape =
      lhs.getRank() == rhs.getRank() &&
      succeeded(verifyCompatibleShape(lhs.getShape(), rhs.getShape()));
  bool isRow = rhs.getRank() == 1 &&
               sizesAgree(lhs.getShape().back(), rhs.getDimSize(0));
  if (sameShape || isRow)
    return success();
  return op.emitOpError("expected rhs of the shape of lhs, or a vector as long "
                        "as its last axis; lhs is ")
         << lhs << ", rhs is " << rhs;
}
// [/verify-binary]

LogicalResult AddOp::verify() { return verifyBinary(*this); }
LogicalResult MulOp::verify() { return verifyBinary(*this); }

// [elements]
Value AddOp::buildElement(ImplicitLocOpBuilder &b, ValueRange elements) {
  return arith::AddFOp::create(b, elements[0], elements[1]);
}

Value MulOp::buildElement(ImplicitLocOpBuilder &b, ValueRange elements) {
  return arith::MulFOp::create(b, elements[0], elements[1]);
}

Value ReluOp::buildElement(ImplicitLocOpBuilder &b, ValueRange elements) {
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
  return arith::MaximumFOp::create(b, elements[0], zero);
}
// [/elements]

//===----------------------------------------------------------------------===//
// matmul, transpose, linear
//===----------------------------------------------------------------------===//

// [infer-matmul]
/// [M, K] x [K, N] -> [M, N]
LogicalResult MatmulOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor operands,
                                         SmallVectorImpl<Type> &types) {
  auto lhs = dyn_cast<RankedTensorType>(operands.getLhs().getType());
  auto rhs = dyn_cast<RankedTensorType>(operands.getRhs().getType());
  if (!lhs || !rhs || lhs.getRank() != 2 || rhs.getRank() != 2)
    return emitOptionalError(loc, "expected two matrices, got ",
                             operands.getLhs().getType(), " and ",
                             operands.getRhs().getType());
  types.push_back(lhs.clone({lhs.getDimSize(0), rhs.getDimSize(1)}));
  return success();
}
// [/infer-matmul]

// [verify-matmul]
LogicalResult MatmulOp::verify() {
  int64_t columns = getLhs().getType().getDimSize(1);
  int64_t rows = getRhs().getType().getDimSize(0);
  if (!sizesAgree(columns, rows))
    return emitOpError("expected as many rows in rhs as columns in lhs, ")
           << columns << ", got " << rows;
  return success();
}
// [/verify-matmul]

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor operands,
                                            SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands.getInput().getType());
  if (!input || input.getRank() != 2)
    return emitOptionalError(loc, "expected a matrix, got ",
                             operands.getInput().getType());
  types.push_back(input.clone({input.getDimSize(1), input.getDimSize(0)}));
  return success();
}

/// [M, K] x [N, K] -> [M, N]
LogicalResult LinearOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor operands,
                                         SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands.getInput().getType());
  auto weight = dyn_cast<RankedTensorType>(operands.getWeight().getType());
  if (!input || !weight || input.getRank() != 2 || weight.getRank() != 2)
    return emitOptionalError(loc, "expected two matrices, got ",
                             operands.getInput().getType(), " and ",
                             operands.getWeight().getType());
  types.push_back(input.clone({input.getDimSize(0), weight.getDimSize(0)}));
  return success();
}

LogicalResult LinearOp::verify() {
  int64_t in = getInput().getType().getDimSize(1);
  RankedTensorType weight = getWeight().getType();
  if (!sizesAgree(in, weight.getDimSize(1)))
    return emitOpError("expected as many columns in weight as in input, ")
           << in << ", got " << weight.getDimSize(1);
  if (getBias() &&
      !sizesAgree(weight.getDimSize(0), getBias().getType().getDimSize(0)))
    return emitOpError("expected as many elements in bias as rows in weight, ")
           << weight.getDimSize(0) << ", got "
           << getBias().getType().getDimSize(0);
  return success();
}
