//===- ch15-opt.cpp - mlir-opt for chapter 15 -----------------------------===//
//
//   ch15-opt --ch15-launch-to-loops kernel.mlir
//   ch15-opt --gpu-kernel-outlining --ch15-launch-to-loops launch.mlir
//   ch15-opt --ch15-pipeline kernel.mlir     to the llvm dialect, for a CPU
//
//===----------------------------------------------------------------------===//

#include "ch15/Kernels.h"
#include "ch15/Passes.h"
#include "ch9/Opt.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

/// With what gpu-module-to-binary needs besides.
static void registerDialects(mlir::DialectRegistry &registry) {
  ch15::registerDialects(registry);
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
}

int main(int argc, char **argv) {
  return ch9::runOpt(argc, argv,
                     {"mlir-opt for chapter 15\n",
                      registerDialects,
                      {ch15::registerPasses},
                      "ch15-pipeline",
                      ch15::buildCpuPipeline});
}
