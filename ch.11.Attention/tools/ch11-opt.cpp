//===- ch11-opt.cpp - mlir-opt for the transformer dialect ----------------===//
//
//   ch11-opt --ch11-decompose attention.mlir
//   ch11-opt --ch11-pipeline  attention.mlir     everything, to the llvm
//   dialect
//
// Upstream's dialects and passes, this chapter's dialect and its passes.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  ch11::registerDialects(registry);
  ch11::registerPasses();
  mlir::PassPipelineRegistration<>("ch11-pipeline",
                                   "transformer dialect to llvm dialect",
                                   ch11::buildPipeline);
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "mlir-opt for the transformer dialect\n", registry));
}
