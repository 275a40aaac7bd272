//===- ch12-opt.cpp - mlir-opt with the ops of ch.11 and ch.12 ------------===//
//
//   ch12-opt --ch12-lower block.mlir       this chapter's ops become ch.11's
//   ch12-opt --ch12-pipeline block.mlir    everything, to the llvm dialect
//
//===----------------------------------------------------------------------===//

#include "ch12/Lowering.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(argc, argv,
                     {"mlir-opt with the ops of ch.11 and ch.12\n",
                      ch12::registerDialects,
                      {ch11::registerPasses, ch12::registerPasses},
                      "ch12-pipeline",
                      ch12::buildPipeline});
}
