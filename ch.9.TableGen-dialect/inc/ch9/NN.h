//===- NN.h - the dialect nn ----------------------------------------------===//
//
// The classes that mlir-tblgen writes from the .td files beside this one.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ch9/NNOpsDialect.h.inc"

#include "ch9/NNInterfaces.h.inc"

#define GET_OP_CLASSES
#include "ch9/NNOps.h.inc"
