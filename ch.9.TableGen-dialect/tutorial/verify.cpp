//===- verify.cpp - step 5: what types cannot say -------------------------===//
#include "NN.h"

using namespace mlir;
using namespace nn;

// [verify]
LogicalResult MatmulOp::verify() {
  int64_t columns = getLhs().getType().getDimSize(1);
  int64_t rows = getRhs().getType().getDimSize(0);
  bool unknown = ShapedType::isDynamic(columns) || ShapedType::isDynamic(rows);
  if (!unknown && columns != rows)
    return emitOpError("expected as many rows in rhs as columns in lhs, ")
           << columns << ", got " << rows;
  return success();
}
// [/verify]
