//===- ch12-opt.cpp - mlir-opt with the ops of ch.11 and ch.12 ------------===//
//
//   ch12-opt --ch12-lower block.mlir       this chapter's ops become ch.11's
//   ch12-opt --ch12-pipeline block.mlir    everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch12/Lowering.h"

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
  ch12::registerDialects(registry);
  ch11::registerPasses();
  ch12::registerPasses();
  mlir::PassPipelineRegistration<>("ch12-pipeline",
                                   "transformer dialect to llvm dialect",
                                   ch12::buildPipeline);
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "mlir-opt with the ops of ch.11 and ch.12\n", registry));
}
