//===- Transformer.h - the transformer dialect ----------------------------===//
//
// The classes that mlir-tblgen writes from TransformerOps.td, and what the
// verifiers of later chapters share.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ch11/TransformerOpsDialect.h.inc"

#define GET_OP_CLASSES
#include "ch11/TransformerOps.h.inc"

namespace transformer {

/// Whether two sizes can be the same: a dynamic one may be anything.
inline bool sizesAgree(int64_t a, int64_t b) {
  return mlir::ShapedType::isDynamic(a) || mlir::ShapedType::isDynamic(b) ||
         a == b;
}

/// Checks that `vector` can be laid over the rows of `tensor`: same shape, or a
/// vector as long as the last axis.
bool fitsRows(mlir::ShapedType tensor, mlir::ShapedType other);

} // namespace transformer
