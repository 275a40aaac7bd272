//===- jit.cpp - one compiled function for each structure -----------------===//
//
//   forward(y) --> Graph --> key --+-- known ----------------------> call
//                                  +-- new: build, lower, compile -> call
//
// ch.3's cache, with the graph's structure as the key.
//
//===----------------------------------------------------------------------===//

#include "ch9/Compiler.h"

#include "ch1/Recipe.h"

#include "mlir/Pass/PassManager.h"

namespace py = pybind11;
using namespace mlir;

namespace ch9 {

namespace {

/// A graph's module, as built, with the context that owns it. A context for
/// each compilation: threads share nothing, and its memory goes when it goes.
struct Built {
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;

  Built(const Language &language, const Graph &graph)
      : context(ch1::makeContext(language.registerDialects)),
        module(buildModule(context.get(), graph)) {}
};

struct Lowered : Built {
  ch1::Stages stages;

  Lowered(const Language &language, const Graph &graph,
          bool recordStages = false)
      : Built(language, graph) {
    PassManager passes(context.get());
    language.buildPipeline(passes);
    ch1::runPipeline(passes, *module, recordStages ? &stages : nullptr);
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

Program::Program(ModuleOp lowered) : jit(lowered) {
  jit.lookup(
      "_mlir_ciface_forward"); // code is made here, not at the first call
}

// [call]
void Program::call(MutableArrayRef<ch1::Descriptor> descriptors) const {
  // The packed convention: each argument is given by its address, and the
  // argument of a C interface is itself the address of a descriptor.
  SmallVector<void *> pointers, arguments;
  for (ch1::Descriptor &descriptor : descriptors)
    pointers.push_back(descriptor.get());
  for (void *&pointer : pointers)
    arguments.push_back(&pointer);
  jit.invoke("_mlir_ciface_forward", arguments);
}
// [/call]

// [get]
std::shared_ptr<const Program> Compiler::get(const Graph &graph) {
  return programs.get(graph.key, [&] {
    return std::make_shared<const Program>(*Lowered(language, graph).module);
  });
}
// [/get]

//===----------------------------------------------------------------------===//
// To read
//===----------------------------------------------------------------------===//

std::string Compiler::ir(const Graph &graph) const {
  return ch1::print(*Built(language, graph).module);
}

ch1::Stages Compiler::stages(const Graph &graph) const {
  return std::move(Lowered(language, graph, /*recordStages=*/true).stages);
}

std::string Compiler::llvmIR(const Graph &graph) const {
  return ch1::llvmIR(*Lowered(language, graph).module);
}

std::string Compiler::assembly(const Graph &graph) const {
  return ch1::assembly(*Lowered(language, graph).module);
}

//===----------------------------------------------------------------------===//
// To compute
//===----------------------------------------------------------------------===//

// [run]
std::vector<py::array> run(Compiler &compiler, ArrayRef<Tensor> outputs) {
  Graph graph(outputs);
  std::vector<py::array> inputs, results;
  std::vector<ch1::Descriptor> descriptors;
  for (const Node *node : graph.leaves) {
    inputs.push_back(ch1::contiguous(node->data)); // kept alive until the end
    descriptors.emplace_back(inputs.back());
  }
  for (size_t output : graph.outputs) {
    const Node *node = graph.order[output];
    py::dtype dtype(node->element == Element::F32 ? "float32" : "int32");
    results.emplace_back(dtype, std::vector<py::ssize_t>(node->shape.begin(),
                                                         node->shape.end()));
    descriptors.emplace_back(results.back());
  }
  {
    py::gil_scoped_release release;
    compiler.get(graph)->call(descriptors);
  }
  return results;
}
// [/run]

py::array forward(Compiler &compiler, const Tensor &output) {
  return run(compiler, output).front();
}

} // namespace ch9
