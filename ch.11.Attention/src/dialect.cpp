//===- dialect.cpp - the transformer dialect ------------------------------===//
//
//   TransformerOps.td --mlir-tblgen--> classes   (included below)
//   this file                          what TableGen cannot say: result types
//                                      that are computed, and verifiers
//
// A verifier tells what it expected and what came, with the names that the .td
// file uses: its sentence is all that the author of wrong IR gets to see.
//
//===----------------------------------------------------------------------===//

#include "ch11/Transformer.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace transformer;

#include "ch11/TransformerOpsDialect.cpp.inc"

#define GET_OP_CLASSES
#include "ch11/TransformerOps.cpp.inc"

void TransformerDialect::initialize() {
  registerOps<
#define GET_OP_LIST
#include "ch11/TransformerOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// add, mul
//===----------------------------------------------------------------------===//

bool transformer::fitsRows(ShapedType tensor, ShapedType other) {
  if (tensor.getRank() == other.getRank())
    return succeeded(
        verifyCompatibleShape(tensor.getShape(), other.getShape()));
  return other.getRank() == 1 &&
         sizesAgree(tensor.getShape().back(), other.getDimSize(0));
}

template <typename BinaryOp> static LogicalResult verifyBinary(BinaryOp op) {
  if (fitsRows(op.getLhs().getType(), op.getRhs().getType()))
    return success();
  return op.emitOpError("expected rhs of the shape of lhs, or a vector as long "
                        "as its last axis; lhs is ")
         << op.getLhs().getType() << ", rhs is " << op.getRhs().getType();
}

LogicalResult AddOp::verify() { return verifyBinary(*this); }
LogicalResult MulOp::verify() { return verifyBinary(*this); }

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

/// [.., M, K] x [.., K, N] -> [.., M, N]
LogicalResult MatmulOp::inferReturnTypes(MLIRContext *,
                                         std::optional<Location> loc,
                                         Adaptor operands,
                                         SmallVectorImpl<Type> &types) {
  auto lhs = dyn_cast<RankedTensorType>(operands.getLhs().getType());
  auto rhs = dyn_cast<RankedTensorType>(operands.getRhs().getType());
  if (!lhs || !rhs || lhs.getRank() != rhs.getRank() || lhs.getRank() < 2)
    return emitOptionalError(loc,
                             "expected two tensors of one rank, 2 or 3, "
                             "got ",
                             operands.getLhs().getType(), " and ",
                             operands.getRhs().getType());
  SmallVector<int64_t> shape(lhs.getShape());
  shape.back() = rhs.getShape().back();
  types.push_back(RankedTensorType::get(shape, lhs.getElementType()));
  return success();
}

LogicalResult MatmulOp::verify() {
  auto lhs = cast<RankedTensorType>(getLhs().getType());
  auto rhs = cast<RankedTensorType>(getRhs().getType());
  int64_t rank = lhs.getRank();
  if (!sizesAgree(lhs.getDimSize(rank - 1), rhs.getDimSize(rank - 2)))
    return emitOpError("expected as many rows in rhs as columns in lhs, ")
           << lhs.getDimSize(rank - 1) << ", got " << rhs.getDimSize(rank - 2);
  if (rank == 3 && !sizesAgree(lhs.getDimSize(0), rhs.getDimSize(0)))
    return emitOpError("expected as many matrices in rhs as in lhs, ")
           << lhs.getDimSize(0) << ", got " << rhs.getDimSize(0);
  return success();
}

//===----------------------------------------------------------------------===//
// transpose
//===----------------------------------------------------------------------===//

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor operands,
                                            SmallVectorImpl<Type> &types) {
  auto input = dyn_cast<RankedTensorType>(operands.getInput().getType());
  ArrayRef<int64_t> permutation = operands.getPermutation();
  if (!input || input.getRank() != static_cast<int64_t>(permutation.size()) ||
      !isPermutationVector(permutation))
    return emitOptionalError(loc, "expected a permutation of the axes of ",
                             operands.getInput().getType(), ", got [",
                             permutation, "]");
  types.push_back(input.clone(applyPermutation(input.getShape(), permutation)));
  return success();
}

// Inference has checked everything already.
LogicalResult TransposeOp::verify() { return success(); }

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::inferReturnTypes(MLIRContext *,
                                            std::optional<Location> loc,
                                            Adaptor operands,
                                            SmallVectorImpl<Type> &types) {
  auto q = dyn_cast<RankedTensorType>(operands.getQ().getType());
  auto v = dyn_cast<RankedTensorType>(operands.getV().getType());
  if (!q || !v || q.getRank() != 2 || v.getRank() != 2)
    return emitOptionalError(loc, "expected q and v of rank 2, got ",
                             operands.getQ().getType(), " and ",
                             operands.getV().getType());
  types.push_back(v.clone({q.getDimSize(0), v.getDimSize(1)}));
  return success();
}

LogicalResult AttentionOp::verify() {
  auto q = cast<RankedTensorType>(getQ().getType());
  auto k = cast<RankedTensorType>(getK().getType());
  auto v = cast<RankedTensorType>(getV().getType());
  if (!sizesAgree(q.getDimSize(1), k.getDimSize(1)))
    return emitOpError("expected as many columns in k as in q, ")
           << q.getDimSize(1) << ", got " << k.getDimSize(1);
  if (!sizesAgree(k.getDimSize(0), v.getDimSize(0)))
    return emitOpError("expected as many rows in v as in k, ")
           << k.getDimSize(0) << ", got " << v.getDimSize(0);
  // [verify-heads]
  int64_t heads = getNumHeads();
  for (auto [name, type] : {std::pair("q", q), std::pair("v", v)}) {
    int64_t width = type.getDimSize(1);
    if (ShapedType::isDynamic(width) || width == 0 || width % heads != 0)
      return emitOpError("expected a positive multiple of num_heads, ")
             << heads << ", columns in " << name << ", got "
             << (ShapedType::isDynamic(width) ? "?" : Twine(width).str());
  }
  // [/verify-heads]
  if (getPast() && !getCausal())
    return emitOpError("expected causal where there is a past");
  int64_t queries = q.getDimSize(0), past = getPast().value_or(0);
  if (getCausal() && !ShapedType::isDynamic(queries) &&
      !sizesAgree(past + queries, k.getDimSize(0)))
    return emitOpError("expected as many keys as ")
           << (past ? "past tokens and queries" : "queries") << " with causal, "
           << past + queries << ", got " << k.getDimSize(0);
  return success();
}
