//===- jit.cpp - from a kernel's name to a program ------------------------===//
//
//   name --recipe--> gpu dialect --+-- CPU pipeline --> ch1::Jit --> address
//                                  +-- PTX pipeline --> gpu.binary --> text
//
// Both are kept in ch.3's cache.
//
//===----------------------------------------------------------------------===//

#include "ch15/Jit.h"
#include "ch15/Passes.h"

#include "ch1/Diagnostics.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/ExecutionEngine/AsyncRuntime.h"

#include <stdexcept>

using namespace mlir;

namespace ch15 {

//===----------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------===//

static ch1::Recipe recipe(const std::string &name) {
  const Kernel &kernel = findKernel(name);
  ch1::Recipe recipe;
  recipe.function = name;
  recipe.type = kernel.type;
  recipe.registerDialects = registerDialects;
  recipe.build = [&kernel](MLIRContext *context) {
    OwningOpRef<ModuleOp> module = kernel.build(context);
    ch1::verifyOrThrow(*module);
    return module;
  };
  return recipe;
}

ch1::Recipe cpuRecipe(const std::string &kernel) {
  ch1::Recipe way = recipe(kernel);
  way.lowering = [](PassManager &pm) { buildCpuPipeline(pm); };
  return way;
}

/// PTX for a chip runs on later ones too; for sm_90a on that one only.
static void checkChip(const Kernel &kernel, const std::string &chip) {
  std::string known;
  for (const char *name :
       {"sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_90a"}) {
    bool isEnough =
        StringRef(kernel.chip) != "sm_90a" || StringRef(name) == kernel.chip;
    if (isEnough && chip == name)
      return;
    if (isEnough)
      known += (known.empty() ? "'" : ", '") + std::string(name) + "'";
  }
  throw std::invalid_argument("chip: " + std::string(kernel.name) +
                              " is compiled for " + known + ", got '" + chip +
                              "'");
}

ch1::Recipe ptxRecipe(const std::string &kernel, const std::string &chip) {
  checkChip(findKernel(kernel), chip);
  ch1::Recipe way = recipe(kernel);
  way.lowering = [chip](PassManager &pm) { buildPtxPipeline(pm, chip); };
  return way;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// The functions of MLIR's async runtime that the passes call. Given by
/// address, and not as a shared library for the engine to load: the engine
/// would also end the pool of threads whenever one of several engines goes.
ch1::JitOptions jitOptions() {
  auto address = [](auto *function) {
    return reinterpret_cast<void *>(function);
  };
  ch1::JitOptions options;
  using namespace mlir::runtime;
#define RUNTIME(name) {#name, address(&name)}
  options.symbols = {
      RUNTIME(mlirAsyncRuntimeAddRef),
      RUNTIME(mlirAsyncRuntimeDropRef),
      RUNTIME(mlirAsyncRuntimeCreateToken),
      RUNTIME(mlirAsyncRuntimeCreateValue),
      RUNTIME(mlirAsyncRuntimeCreateGroup),
      RUNTIME(mlirAsyncRuntimeAddTokenToGroup),
      RUNTIME(mlirAsyncRuntimeEmplaceToken),
      RUNTIME(mlirAsyncRuntimeEmplaceValue),
      RUNTIME(mlirAsyncRuntimeSetTokenError),
      RUNTIME(mlirAsyncRuntimeSetValueError),
      RUNTIME(mlirAsyncRuntimeIsTokenError),
      RUNTIME(mlirAsyncRuntimeIsValueError),
      RUNTIME(mlirAsyncRuntimeIsGroupError),
      RUNTIME(mlirAsyncRuntimeAwaitToken),
      RUNTIME(mlirAsyncRuntimeAwaitValue),
      RUNTIME(mlirAsyncRuntimeAwaitAllInGroup),
      RUNTIME(mlirAsyncRuntimeGetValueStorage),
      RUNTIME(mlirAsyncRuntimeExecute),
      RUNTIME(mlirAsyncRuntimeAwaitTokenAndExecute),
      RUNTIME(mlirAsyncRuntimeAwaitValueAndExecute),
      RUNTIME(mlirAsyncRuntimeAwaitAllInGroupAndExecute),
      RUNTIME(mlirAsyncRuntimGetNumWorkerThreads), // spelled so upstream
  };
#undef RUNTIME
  return options;
}

ch3::Cache<Program> &cache() {
  static auto &cache = *new ch3::Cache<Program>(/*capacity=*/64);
  return cache;
}

std::shared_ptr<const Program> cpuProgram(const std::string &kernel,
                                          const ch1::Text &text) {
  ch1::Recipe recipe = cpuRecipe(kernel);
  std::string key = "cpu " + kernel + (text ? "\n" + *text : "");
  return cache().get(key, [&] {
    ch1::Lowered lowered(recipe, text);
    auto program = std::make_shared<Program>();
    program->jit = std::make_unique<ch1::Jit>(*lowered.module, jitOptions());
    program->function = program->jit->lookup("_mlir_ciface_" + kernel);
    return program;
  });
}

/// gpu.binary holds an object for each target of its module; ours has one.
static std::string textOf(ModuleOp module) {
  std::string text;
  for (auto binary : module.getOps<gpu::BinaryOp>())
    for (auto object : binary.getObjects().getAsRange<gpu::ObjectAttr>())
      text += object.getObject().getValue();
  if (text.empty())
    throw ch1::CompileError("the IR has no gpu.module to make PTX of");
  while (!text.empty() && text.back() == '\0')
    text.pop_back();
  return text;
}

std::shared_ptr<const Program> ptxProgram(const std::string &kernel,
                                          const std::string &chip,
                                          const ch1::Text &text) {
  ch1::Recipe recipe = ptxRecipe(kernel, chip);
  std::string key = chip + " " + kernel + (text ? "\n" + *text : "");
  return cache().get(key, [&] {
    ch1::Lowered lowered(recipe, text);
    auto program = std::make_shared<Program>();
    program->ptx = textOf(*lowered.module);
    return program;
  });
}

} // namespace ch15
