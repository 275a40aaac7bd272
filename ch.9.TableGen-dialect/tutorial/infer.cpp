//===- infer.cpp - step 4: the types of results ---------------------------===//
#include "NN.h"

using namespace mlir;
using namespace nn;

/// [M, N] -> [N, M]
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
