//===- Lowering.h - from the transformer dialect to machine code ----------===//
//
// The passes of this chapter, one by one and as the pipeline that the tool, the
// tests and the JIT share. A later chapter lowers its own ops to the ops of
// this one or to linalg, and then calls buildPipeline():
//
//   void ch12::buildPipeline(OpPassManager &pm) {
//     pm.addPass(ch12::createLowerPass());
//     ch11::buildPipeline(pm);
//   }
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch9/Linalg.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"

#include <memory>

namespace ch11 {

//===--- Passes ---------------------------------------------------------===//

/// ch11-decompose: attention becomes smaller ops of the dialect.
std::unique_ptr<mlir::Pass> createDecomposePass();
/// ch11-to-linalg: every op of the dialect becomes linalg on tensors.
std::unique_ptr<mlir::Pass> createToLinalgPass();
/// ch11-matmul-loop-order: matrix products run in the order i, k, j.
std::unique_ptr<mlir::Pass> createMatmulLoopOrderPass();
/// ch11-approximate-math: exp and tanh become polynomials (ch.6's pass).
std::unique_ptr<mlir::Pass> createApproximateMathPass();
/// ch11-copies-to-loops: copies between strided buffers become loops.
std::unique_ptr<mlir::Pass> createCopiesToLoopsPass();

/// ch11-outline-kernels: each linalg op becomes a function, equal ones the
/// same.
std::unique_ptr<mlir::Pass> createOutlineKernelsPass();
/// ch11-kernel-noalias: tells LLVM which kernels write apart from what they
/// read.
std::unique_ptr<mlir::Pass> createKernelNoAliasPass();

/// Makes the passes known to a command line, under the names above.
void registerPasses();

/// From the transformer dialect to the llvm dialect.
void buildPipeline(mlir::OpPassManager &pm);
/// The second half of it, from linalg on tensors to the llvm dialect.
void buildLinalgToLLVM(mlir::OpPassManager &pm);

/// The dialects that the pipeline reads and makes.
void registerDialects(mlir::DialectRegistry &registry);

//===--- What later chapters build patterns from -------------------------===//

void populateDecomposePatterns(mlir::RewritePatternSet &patterns);
void populateToLinalgPatterns(mlir::RewritePatternSet &patterns);

} // namespace ch11
