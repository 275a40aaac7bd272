// recipe.cpp - follows a recipe: context, module, passes.
#include "ch1/Recipe.h"
#include "ch1/Diagnostics.h"
#include "ch1/Inspect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

using namespace mlir;

namespace ch1 {

// [context]
std::unique_ptr<MLIRContext>
makeContext(void (*registerDialects)(DialectRegistry &)) {
  DialectRegistry registry;
  registerDialects(registry);
  // How the builtin and the llvm dialect become LLVM IR: needed at the end.
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  // One small function: a thread pool for each context would cost more than it
  // gives.
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}
// [/context]

// [outside]
/// IR from outside is called like ours, so its function must be typed like
/// ours.
static void checkFunction(const Recipe &recipe, ModuleOp module) {
  MLIRContext *context = module.getContext();
  auto function = module.lookupSymbol<func::FuncOp>(recipe.function);
  if (!function || function.isDeclaration())
    throw CompileError("the IR defines no func.func @" + recipe.function);
  FunctionType expected = recipe.type(context);
  if (function.getFunctionType() != expected) {
    std::string what = "@" + recipe.function + ": expected the type ";
    llvm::raw_string_ostream(what)
        << expected << ", got " << function.getFunctionType();
    throw CompileError(what);
  }
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    UnitAttr::get(context));
}
// [/outside]

Built::Built(const Recipe &recipe, const Text &text)
    : context(makeContext(recipe.registerDialects)),
      module(text ? parse(context.get(), *text) : recipe.build(context.get())) {
  if (text)
    checkFunction(recipe, *module);
}

StageList stageList(Stages stages) {
  StageList list;
  for (Stage &stage : stages)
    list.emplace_back(std::move(stage.pass), std::move(stage.ir));
  return list;
}

// [lowered]
Lowered::Lowered(const Recipe &recipe, const Text &text, bool recordStages)
    : Built(recipe, text) {
  PassManager passes(context.get());
  recipe.lowering(passes);
  runPipeline(passes, *module, recordStages ? &stages : nullptr);
}
// [/lowered]

} // namespace ch1
