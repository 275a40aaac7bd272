//===- opt.cpp - what the chapters' -opt tools share ----------------------===//
//
// The headers with everything of upstream take longer to compile than all the
// rest of a chapter, so they are included here, once for all tools.
//
//===----------------------------------------------------------------------===//

#include "ch9/Opt.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int ch9::runOpt(int argc, char **argv, const OptTool &tool) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  tool.registerDialects(registry);
  for (auto *registerPasses : tool.registerPasses)
    registerPasses();
  mlir::PassPipelineRegistration<> pipeline(
      tool.pipelineName, "this chapter's ops to the llvm dialect",
      tool.buildPipeline);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, tool.title, registry));
}
