// Gemm.h - this chapter's one function, from IR to machine code.
#pragma once

#include "ch1/Pipeline.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"

namespace ch1 {

/// C[8,16] = A[8,32] x B[32,16], fixed when the function is compiled.
inline constexpr int64_t kM = 8, kK = 32, kN = 16;

/// The dialects of this chapter (ir.cpp).
void registerDialects(mlir::DialectRegistry &registry);

/// The type of @gemm: (A, B, C) -> nothing, C is written into.
mlir::FunctionType gemmType(mlir::MLIRContext *context);

/// The module with the function @gemm, as linalg on memrefs (ir.cpp).
mlir::OwningOpRef<mlir::ModuleOp> buildGemm(mlir::MLIRContext *context);

/// The passes from linalg to the llvm dialect (lowering.cpp).
void buildLowering(mlir::PassManager &passes);

} // namespace ch1
