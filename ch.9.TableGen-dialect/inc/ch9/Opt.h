//===- Opt.h - what the chapters' -opt tools share ------------------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"

#include <vector>

namespace ch9 {

/// A chapter's mlir-opt: upstream's dialects and passes, and these.
struct OptTool {
  const char *title;
  void (*registerDialects)(mlir::DialectRegistry &);
  std::vector<void (*)()> registerPasses; // this chapter's and earlier ones'
  const char *pipelineName;               // "ch9-pipeline"
  void (*buildPipeline)(mlir::OpPassManager &);
};

/// The main() of such a tool.
int runOpt(int argc, char **argv, const OptTool &tool);

} // namespace ch9
