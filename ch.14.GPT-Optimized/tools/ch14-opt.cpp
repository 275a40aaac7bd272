// ch14-opt.cpp - mlir-opt with the step's ops and this chapter's passes.
//
//   ch14-opt --ch14-expand-kernels step.mlir
//   ch14-opt --ch14-pipeline       step.mlir     everything, to the llvm
//   dialect
#include "ch11/Lowering.h"
#include "ch14/Step.h"
#include "ch14/StepOps.h"

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
  ch14::registerDialects(registry);
  ch11::registerPasses();
  ch14::registerPasses();
  mlir::PassPipelineRegistration<>(
      "ch14-pipeline", "the ops of a step to the llvm dialect",
      [](mlir::OpPassManager &passes) { ch14::buildPipeline(passes); });
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "mlir-opt for the ops of an inference step\n", registry));
}
