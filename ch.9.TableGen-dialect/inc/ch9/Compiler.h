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

namespace ch9 {

/// What a chapter's compiler knows: its dialects and its way to the llvm
/// dialect.
struct Language {
  void (*registerDialects)(mlir::DialectRegistry &);
  void (*buildPipeline)(mlir::OpPassManager &);
};

/// The compiled @forward of one structure.
class Program {
public:
  explicit Program(mlir::ModuleOp lowered);
  /// One descriptor for each leaf of the graph, then one for each output.
  void call(llvm::MutableArrayRef<ch1::Descriptor> descriptors) const;

private:
  ch1::Jit jit;
};

/// Turns graphs into programs and keeps the last ones. All members may be
/// called from several threads at once, without the GIL.
class Compiler {
public:
  explicit Compiler(Language language) : language(language) {}

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
