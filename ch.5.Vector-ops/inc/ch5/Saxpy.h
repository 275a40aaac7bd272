// Saxpy.h - this chapter's one function, written in three ways.
#pragma once

#include "ch1/Pipeline.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>

namespace ch5 {

/// How many floats a vector of the kernel "vector" has, whatever the machine.
inline constexpr int64_t kVectorSize = 16;

/// The dialects of this chapter (ir.cpp).
void registerDialects(mlir::DialectRegistry &registry);

/// The type of @saxpy: (alpha, A, B, C) -> nothing, C is written into.
mlir::FunctionType saxpyType(mlir::MLIRContext *context);

/// The module with @saxpy: C = alpha * A + B, all of one length. `kernel` is
/// "scf", "linalg" or "vector"; std::invalid_argument for another (ir.cpp).
mlir::OwningOpRef<mlir::ModuleOp> buildSaxpy(mlir::MLIRContext *context,
                                             const std::string &kernel);

/// The passes to the llvm dialect, one list for the three (lowering.cpp).
void buildLowering(mlir::PassManager &passes);

} // namespace ch5
