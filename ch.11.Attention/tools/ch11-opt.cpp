//===- ch11-opt.cpp - mlir-opt for the transformer dialect ----------------===//
//
//   ch11-opt --ch11-decompose attention.mlir
//   ch11-opt --ch11-pipeline  attention.mlir     everything, to the llvm
//   dialect
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(argc, argv,
                     {"mlir-opt for the transformer dialect\n",
                      ch11::registerDialects,
                      {ch11::registerPasses},
                      "ch11-pipeline",
                      ch11::buildPipeline});
}
