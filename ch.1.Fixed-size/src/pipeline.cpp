// pipeline.cpp - runs a pass pipeline and remembers the IR after each pass.
#include "ch1/Pipeline.h"
#include "ch1/Diagnostics.h"

#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ch1 {

std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os);
  return text;
}

// [parse]
OwningOpRef<ModuleOp> parse(MLIRContext *context, StringRef text) {
  DiagnosticCollector diagnostics(context);
  auto module = parseSourceString<ModuleOp>(text, context, "ir");
  if (!module)
    diagnostics.raise("the IR could not be read");
  return module;
}
// [/parse]

// [verify]
void verifyOrThrow(ModuleOp module) {
  DiagnosticCollector diagnostics(module.getContext());
  if (failed(verify(module)))
    diagnostics.raise("the module that was built is not valid");
}
// [/verify]

namespace {

// [recorder]
/// Called by the pass manager around every pass; writes the module down.
class StageRecorder : public PassInstrumentation {
public:
  StageRecorder(ModuleOp module, Stages &stages)
      : module(module), stages(stages) {}

  void runAfterPass(Pass *pass, Operation *) override {
    // A pass on functions is wrapped in an adaptor without a name: skip that.
    if (!pass->getArgument().empty())
      stages.push_back({pass->getArgument().str(), print(module)});
  }

private:
  ModuleOp module;
  Stages &stages;
};
// [/recorder]

} // namespace

// [run]
void runPipeline(PassManager &passes, ModuleOp module, Stages *stages) {
  if (stages) {
    stages->push_back({"input", print(module)});
    passes.addInstrumentation(std::make_unique<StageRecorder>(module, *stages));
  }
  DiagnosticCollector diagnostics(module.getContext());
  if (failed(passes.run(module)))
    diagnostics.raise("a pass failed");
}
// [/run]

} // namespace ch1
