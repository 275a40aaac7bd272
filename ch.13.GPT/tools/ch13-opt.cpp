//===- ch13-opt.cpp - mlir-opt with the ops of ch.11 to ch.13 -------------===//
//
//   ch13-opt --ch13-lower    rope.mlir
//   ch13-opt --ch13-pipeline rope.mlir     everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch12/Lowering.h"
#include "ch13/Lowering.h"

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
  ch13::registerDialects(registry);
  ch11::registerPasses();
  ch12::registerPasses();
  ch13::registerPasses();
  mlir::PassPipelineRegistration<>("ch13-pipeline",
                                   "transformer dialect to llvm dialect",
                                   ch13::buildPipeline);
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "mlir-opt with the ops of ch.11 to ch.13\n", registry));
}
