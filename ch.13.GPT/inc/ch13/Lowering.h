//===- Lowering.h - from the ops of ch.13 to machine code -----------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassManager.h"

#include <memory>

namespace ch13 {

/// ch13-lower: this chapter's ops become linalg and ops of earlier chapters.
std::unique_ptr<mlir::Pass> createLowerPass();
void populateLowerPatterns(mlir::RewritePatternSet &patterns);

/// Makes ch13-lower known to a command line.
void registerPasses();

/// From the transformer dialect to the llvm dialect.
void buildPipeline(mlir::OpPassManager &pm);

/// The dialects that the pipeline reads and makes.
void registerDialects(mlir::DialectRegistry &registry);

} // namespace ch13
