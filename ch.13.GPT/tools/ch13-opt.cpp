//===- ch13-opt.cpp - mlir-opt with the ops of ch.11 to ch.13 -------------===//
//
//   ch13-opt --ch13-lower    rope.mlir
//   ch13-opt --ch13-pipeline rope.mlir     everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch12/Lowering.h"
#include "ch13/Lowering.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(
      argc, argv,
      {"mlir-opt with the ops of ch.11 to ch.13\n",
       ch13::registerDialects,
       {ch11::registerPasses, ch12::registerPasses, ch13::registerPasses},
       "ch13-pipeline",
       ch13::buildPipeline});
}
