//===- NN.h - what mlir-tblgen writes from a step's NN.td -----------------===//
//
// The same for all steps: the included files are in the step's build folder.
//
//===----------------------------------------------------------------------===//
#pragma once

// [upstream]
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
// [/upstream]

#include <optional>

// [dialect]
#include "NNDialect.h.inc"
// [/dialect]

// [interfaces]
#if __has_include("NNInterfaces.h.inc") // from step 8 on
#include "NNInterfaces.h.inc"
#endif
// [/interfaces]

// [ops]
#define GET_OP_CLASSES
#include "NN.h.inc"
// [/ops]
