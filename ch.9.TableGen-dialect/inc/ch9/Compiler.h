//===- Compiler.h - one compiled function for each structure --------------===//
//
//   Graph --key--> ch.3's cache --miss--> buildModule, pipeline, ch1::Jit
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch1/Jit.h"
#include "ch1/Pipeline.h"
#include "ch3/Cache.h"
#include "ch9/Graph.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"

#include <functional>

namespace ch9 {

/// What a chapter's compiler knows: its dialects and its way to the llvm
/// dialect; what its code may call.
struct Language {
  void (*registerDialects)(mlir::DialectRegistry &);
  std::function<void(mlir::OpPassManager &)> buildPipeline;
  ch1::JitOptions options = {};
};

// [prepared]
/// A constant that the program wants in another order: a function of the module
/// makes it, once, and the leaf keeps it for every program that wants the same.
/// A pass says so in the module's attribute `kPreparedAttr`, a list of
/// {leaf, function, layout, shape, type}.
struct Prepared {
  size_t leaf;          // which argument of @forward
  std::string function; // (the constant, the memory for its new order)
  std::string layout;   // a name for the order
  Shape shape;          // of the new order
  std::string type;     // NumPy's name for its elements
};
inline constexpr const char *kPreparedAttr = "nn.prepared";
// [/prepared]

/// The compiled @forward of one structure.
class Program {
public:
  explicit Program(mlir::ModuleOp lowered, const ch1::JitOptions &options = {});
  /// Calls @forward with one descriptor for each leaf of the graph, then one
  /// for each output.
  void call(llvm::MutableArrayRef<ch1::Descriptor> descriptors) const;
  /// Calls the function that prepares a constant.
  void prepare(const std::string &function, ch1::Descriptor constant,
               ch1::Descriptor made) const;

  const std::vector<Prepared> prepared;

private:
  using Packed = void (*)(void **);
  Packed packed(const std::string &function) const;

  ch1::Jit jit;
  Packed forward; // looking a name up takes longer than a small product
};

/// Turns graphs into programs and keeps the last ones. All members may be
/// called from several threads at once, without the GIL.
class Compiler {
public:
  explicit Compiler(Language language) : language(std::move(language)) {}

  /// The program for the graph's structure.
  std::shared_ptr<const Program> get(const Graph &graph);

  ch3::CacheInfo info() const { return programs.info(); }
  void clear() { programs.clear(); }

  // The same way, stopped where there is something to read. Not cached.
  std::string ir(const Graph &graph) const;
  ch1::Stages stages(const Graph &graph) const;
  std::string llvmIR(const Graph &graph) const;
  std::string assembly(const Graph &graph) const;

private:
  Language language;
  ch3::Cache<Program> programs;
};

/// Computes the values: compiles or finds the program and calls it. Takes the
/// GIL as held and releases it while it compiles and computes.
std::vector<pybind11::array> run(Compiler &compiler,
                                 llvm::ArrayRef<Tensor> outputs);
/// The same for one value.
pybind11::array forward(Compiler &compiler, const Tensor &output);

} // namespace ch9
