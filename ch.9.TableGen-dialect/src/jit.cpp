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
#include "ch9/AlignedArray.h"

#include "mlir/IR/BuiltinAttributes.h"

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

/// The module's attribute, read.
static std::vector<Prepared> readPrepared(ModuleOp module) {
  std::vector<Prepared> all;
  auto list = module->getAttrOfType<ArrayAttr>(kPreparedAttr);
  for (Attribute entry : list ? list.getValue() : ArrayRef<Attribute>()) {
    auto fields = cast<DictionaryAttr>(entry);
    auto text = [&](StringRef name) {
      return cast<StringAttr>(fields.get(name)).str();
    };
    auto leaf = cast<IntegerAttr>(fields.get("leaf"));
    auto shape = cast<DenseI64ArrayAttr>(fields.get("shape"));
    all.push_back({size_t(leaf.getInt()), text("function"), text("layout"),
                   Shape(shape.asArrayRef()), text("type")});
  }
  return all;
}

Program::Program(ModuleOp lowered, const ch1::JitOptions &options)
    : prepared(readPrepared(lowered)), jit(lowered, options),
      // Code is made here, not at the first call.
      forward(packed("forward")) {}

Program::Packed Program::packed(const std::string &function) const {
  // The engine makes a wrapper `_mlir_NAME(void **)` of every function, and
  // the C interface of f is a function `_mlir_ciface_f`.
  return reinterpret_cast<Packed>(jit.lookup("_mlir__mlir_ciface_" + function));
}

// [call]
/// The packed convention: each argument is given by its address, and the
/// argument of a C interface is itself the address of a descriptor.
static void callPacked(void (*function)(void **),
                       MutableArrayRef<ch1::Descriptor> descriptors) {
  SmallVector<void *> pointers, arguments;
  for (ch1::Descriptor &descriptor : descriptors)
    pointers.push_back(descriptor.get());
  for (void *&pointer : pointers)
    arguments.push_back(&pointer);
  function(arguments.data());
}

void Program::call(MutableArrayRef<ch1::Descriptor> descriptors) const {
  callPacked(forward, descriptors);
}

void Program::prepare(const std::string &function, ch1::Descriptor constant,
                      ch1::Descriptor made) const {
  ch1::Descriptor both[] = {std::move(constant), std::move(made)};
  callPacked(packed(function), both);
}
// [/call]

// [get]
std::shared_ptr<const Program> Compiler::get(const Graph &graph) {
  return programs.get(graph.key, [&] {
    return std::make_shared<const Program>(*Lowered(language, graph).module,
                                           language.options);
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
  return ch1::llvmIR(*Lowered(language, graph).module, language.options);
}

std::string Compiler::assembly(const Graph &graph) const {
  return ch1::assembly(*Lowered(language, graph).module, language.options);
}

//===----------------------------------------------------------------------===//
// To compute
//===----------------------------------------------------------------------===//

// [layout]
/// A constant's numbers in the order that a program wants: made now, or by an
/// earlier call. Takes the GIL as held.
static py::array inLayout(const Node *leaf, const Program &program,
                          const Prepared &wanted) {
  auto found = leaf->layouts.find(wanted.layout);
  if (found != leaf->layouts.end())
    return found->second;
  py::array made = alignedArray(py::dtype(wanted.type), wanted.shape);
  ch1::Descriptor from(leaf->data), to(made);
  {
    py::gil_scoped_release release;
    program.prepare(wanted.function, from, to);
  }
  // Another thread may have been faster: all use the first one.
  return leaf->layouts.emplace(wanted.layout, made).first->second;
}
// [/layout]

// [run]
std::vector<py::array> run(Compiler &compiler, ArrayRef<Tensor> outputs) {
  std::shared_ptr<const Graph> shared = graphOf(outputs);
  const Graph &graph = *shared;
  std::shared_ptr<const Program> program;
  {
    py::gil_scoped_release release;
    program = compiler.get(graph);
  }
  std::vector<py::array> inputs, results; // kept alive until the end
  std::vector<ch1::Descriptor> descriptors;
  for (const Node *node : graph.leaves)
    inputs.push_back(node->data);
  for (const Prepared &wanted : program->prepared)
    inputs[wanted.leaf] = inLayout(graph.leaves[wanted.leaf], *program, wanted);
  for (py::array &input : inputs) {
    input = ch1::contiguous(input);
    descriptors.emplace_back(input);
  }
  for (size_t output : graph.outputs) {
    const Node *node = graph.order[output];
    py::dtype dtype(node->element == Element::F32 ? "float32" : "int32");
    results.push_back(alignedArray(dtype, node->shape));
    descriptors.emplace_back(results.back());
  }
  {
    py::gil_scoped_release release;
    program->call(descriptors);
  }
  return results;
}
// [/run]

py::array forward(Compiler &compiler, const Tensor &output) {
  return run(compiler, output).front();
}

} // namespace ch9
