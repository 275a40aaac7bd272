//===- Lowering.h - from ch.12's ops to ch.11's ---------------------------===//
#pragma once

#include "ch11/Lowering.h"

namespace ch12 {

/// ch12-lower: layer_norm, linear and gelu become ops of ch.11 and linalg.
std::unique_ptr<mlir::Pass> createLowerPass();
void populateLowerPatterns(mlir::RewritePatternSet &patterns);

/// Makes the pass known to a command line.
void registerPasses();

/// ch12-lower, then ch.11's pipeline.
void buildPipeline(mlir::OpPassManager &pm);

/// ch.11's dialects, the transformer dialect with ch.12's ops in it.
void registerDialects(mlir::DialectRegistry &registry);
/// The extension that adds the ops; registerDialects() calls it.
void registerOps(mlir::DialectRegistry &registry);

} // namespace ch12
