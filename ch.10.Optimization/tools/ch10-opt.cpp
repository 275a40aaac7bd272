//===- ch10-opt.cpp - mlir-opt for chapter 10 -----------------------------===//
//
//   ch10-opt --canonicalize --ch9-to-linalg --ch10-pack layer.mlir
//   ch10-opt --ch10-pipeline layer.mlir     everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch10/Passes.h"
#include "ch9/Lowering.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(argc, argv,
                     {"mlir-opt for chapter 10\n",
                      ch10::registerDialects,
                      {ch9::registerPasses, ch10::registerPasses},
                      "ch10-pipeline",
                      [](mlir::OpPassManager &pm) {
                        ch10::pipelines().back().build(pm, ch10::hostTarget());
                      }});
}
