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

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"

#include <functional>
#include <memory>

namespace ch11 {

//===--- Passes ---------------------------------------------------------===//

/// ch11-decompose: attention becomes smaller ops of the dialect.
std::unique_ptr<mlir::Pass> createDecomposePass();
/// ch11-to-linalg: every op of the dialect becomes linalg on tensors.
std::unique_ptr<mlir::Pass> createToLinalgPass();
/// ch11-matmul-loop-order: matrix products run in the order i, k, j.
std::unique_ptr<mlir::Pass> createMatmulLoopOrderPass();
/// ch11-approximate-math: exp and tanh become polynomials.
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

/// Makes the value of one element from the elements of the operands.
using ElementFn = std::function<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                            mlir::ValueRange elements)>;

/// A tensor of the shape of `like`, with nothing in it yet.
mlir::Value emptyLike(mlir::ImplicitLocOpBuilder &b, mlir::Value like);
/// A tensor of these sizes, every element `value`.
mlir::Value filled(mlir::ImplicitLocOpBuilder &b,
                   llvm::ArrayRef<mlir::OpFoldResult> sizes, double value);

/// One linalg.generic over the elements of operands[0]. Another operand has its
/// shape, or lacks its first axes (a vector laid over all rows), or lacks its
/// last axis (`rowwise` then names it: one number for each row).
mlir::Value elementwise(mlir::ImplicitLocOpBuilder &b,
                        mlir::ValueRange operands, const ElementFn &body,
                        llvm::ArrayRef<unsigned> rowwise = {});

/// One linalg.generic that folds the last axis of `input` into one number for
/// each row: acc = body(element, acc), from `init` on, in the order of the
/// axis.
mlir::Value reduceRows(mlir::ImplicitLocOpBuilder &b, mlir::Value input,
                       double init, const ElementFn &body);

/// An f32 constant.
mlir::Value constant(mlir::ImplicitLocOpBuilder &b, double value);

} // namespace ch11
