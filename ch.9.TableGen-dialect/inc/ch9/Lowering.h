//===- Lowering.h - from the dialect nn to machine code -------------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace ch9 {

#define GEN_PASS_DECL
#include "ch9/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "ch9/Passes.h.inc"

/// The patterns of ch9-to-linalg.
void populateToLinalgPatterns(mlir::RewritePatternSet &patterns);

/// From the dialect nn to the llvm dialect.
void buildPipeline(mlir::OpPassManager &pm);
/// The second half of it, from linalg on tensors to the llvm dialect.
void buildLinalgToLLVM(mlir::OpPassManager &pm);

/// The dialects that the pipeline reads and makes.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace ch9
