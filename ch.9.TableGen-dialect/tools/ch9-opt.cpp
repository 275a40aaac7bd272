//===- ch9-opt.cpp - mlir-opt for the dialect nn --------------------------===//
//
//   ch9-opt --canonicalize mlp.mlir
//   ch9-opt --ch9-to-linalg mlp.mlir
//   ch9-opt --ch9-pipeline mlp.mlir     everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch9/Lowering.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(argc, argv,
                     {"mlir-opt for the dialect nn\n",
                      ch9::registerDialects,
                      {ch9::registerPasses},
                      "ch9-pipeline",
                      ch9::buildPipeline});
}
