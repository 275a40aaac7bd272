//===- Compiler.h - one compiled function for each structure --------------===//
//
//   Graph --key--> cache --miss--> buildModule, pipeline, ch1::Jit --> Program
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch1/Jit.h"
#include "ch1/Pipeline.h"
#include "ch11/Graph.h"

#include "mlir/IR/DialectRegistry.h"

#include <list>
#include <mutex>
#include <unordered_map>

namespace ch11 {

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

struct CacheInfo {
  int64_t hits = 0;
  int64_t misses = 0;
  double compileSeconds = 0;
  size_t size = 0;
  size_t capacity = 0;
};

/// Turns graphs into programs and keeps the last `capacity` of them. All
/// members may be called from several threads at once, without the GIL.
class Compiler {
public:
  static constexpr size_t kCapacity = 64;
  explicit Compiler(Language language, size_t capacity = kCapacity)
      : language(language), capacity(capacity) {}

  /// The program for the graph's structure. Threads that ask for the same one
  /// together compile it once; different ones compile side by side.
  std::shared_ptr<const Program> get(const Graph &graph);

  CacheInfo info() const;
  void clear(); // programs and counters

  // The same way, stopped where there is something to read. Not cached.
  std::string ir(const Graph &graph) const;
  ch1::Stages stages(const Graph &graph) const;
  std::string llvmIR(const Graph &graph) const;
  std::string assembly(const Graph &graph) const;

private:
  // [slot]
  /// One structure: the lock is held by the thread that compiles it.
  struct Slot {
    std::string key;
    std::mutex lock;
    std::shared_ptr<const Program> program;
  };
  // [/slot]
  using Slots = std::list<std::shared_ptr<Slot>>;

  std::shared_ptr<Slot> slotOf(const std::string &key);

  Language language;
  size_t capacity;
  mutable std::mutex lock; // guards what follows, never held while compiling
  Slots recent;            // most recently used first
  std::unordered_map<std::string, Slots::iterator> byKey;
  CacheInfo counters;
};

/// Computes the values: compiles or finds the program and calls it. Takes the
/// GIL as held and releases it while it compiles and computes.
std::vector<pybind11::array> run(Compiler &compiler,
                                 llvm::ArrayRef<Tensor> outputs);
/// The same for one value.
pybind11::array forward(Compiler &compiler, const Tensor &output);

} // namespace ch11
