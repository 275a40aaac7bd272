// Pipeline.h - runs a pass pipeline and remembers the IR after each pass.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include <string>
#include <vector>

namespace ch1 {

/// The module after one pass: the pass's name as mlir-opt spells it, and the
/// IR.
struct Stage {
  std::string pass;
  std::string ir;
};
using Stages = std::vector<Stage>;

/// The module as text.
std::string print(mlir::ModuleOp module);

/// The module that `text` is, parsed and verified. Throws CompileError, with
/// lines and columns counted in `text`.
mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext *context,
                                        llvm::StringRef text);

/// Checks the module as it was built. Throws CompileError.
void verifyOrThrow(mlir::ModuleOp module);

/// Runs `passes` on `module`. With `stages`, records ("input", IR) and then the
/// IR after every pass. Throws CompileError with MLIR's diagnostics.
void runPipeline(mlir::PassManager &passes, mlir::ModuleOp module,
                 Stages *stages = nullptr);

} // namespace ch1
