// ch14-opt.cpp - mlir-opt with the step's ops and this chapter's passes.
//
//   ch14-opt --ch14-expand-kernels step.mlir
//   ch14-opt --ch14-pipeline       step.mlir     everything, to the llvm
//   dialect
#include "ch11/Lowering.h"
#include "ch14/Step.h"
#include "ch14/StepOps.h"
#include "ch9/Opt.h"

int main(int argc, char **argv) {
  return ch9::runOpt(
      argc, argv,
      {"mlir-opt for the ops of an inference step\n",
       ch14::registerDialects,
       {ch11::registerPasses, ch14::registerPasses},
       "ch14-pipeline",
       [](mlir::OpPassManager &passes) { ch14::buildPipeline(passes); }});
}
