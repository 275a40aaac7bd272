//===- bindings.cpp - the Python module ch10_optimization -----------------===//
//
// Ch.9's Tensor and ops; one compiler for each rung of the ladder, and for each
// tile and for threads; leaves of which more is known, or less.
//
//===----------------------------------------------------------------------===//

#include "ch10/Passes.h"
#include "ch10/Scratch.h"
#include "ch10/Threads.h"
#include "ch3/Python.h"
#include "ch9/Ops.h"
#include "ch9/Python.h"

#include <map>
#include <mutex>

namespace py = pybind11;

namespace ch10 {

/// Throws std::invalid_argument where no rung has that name.
static const Pipeline &pipelineOf(const std::string &name) {
  for (const Pipeline &pipeline : pipelines())
    if (name == pipeline.name)
      return pipeline;
  std::string known;
  for (auto [i, pipeline] : llvm::enumerate(pipelines()))
    known += (i ? ", '" : "'") + std::string(pipeline.name) + "'";
  throw std::invalid_argument("pipeline: expected one of " + known + ", got '" +
                              name + "'");
}

static Target targetOf(std::optional<int64_t> lanes, int64_t numThreads) {
  Target target = hostTarget();
  if (lanes) {
    std::optional<Tile> tile = tileOf(*lanes);
    if (!tile)
      throw std::invalid_argument("lanes: expected 16, 8 or 4, or None for "
                                  "what this machine has, got " +
                                  std::to_string(*lanes));
    target.tile = *tile;
  }
  if (numThreads < 1 || numThreads > kMaxThreads)
    throw std::invalid_argument("num_threads: expected 1 to " +
                                std::to_string(kMaxThreads) + ", got " +
                                std::to_string(numThreads));
  target.threads = numThreads > 1;
  return target;
}

// [compilers]
/// A compiler for each rung and target that was asked for.
class Compilers {
public:
  ch9::Compiler &of(const std::string &name, int64_t numThreads,
                    std::optional<int64_t> lanes) {
    const Pipeline &pipeline = pipelineOf(name);
    Target target = targetOf(lanes, numThreads);
    if (target.threads)
      useThreads(numThreads);
    std::lock_guard<std::mutex> guard(lock);
    auto &compiler = all[{&pipeline, target.tile.lanes, target.threads}];
    if (!compiler) {
      ch1::JitOptions options;
      options.symbols = scratchSymbols();
      if (target.threads)
        llvm::append_range(options.symbols, openMPSymbols());
      compiler = std::make_unique<ch9::Compiler>(ch9::Language{
          registerDialects,
          [=](mlir::OpPassManager &pm) { pipeline.build(pm, target); },
          options});
    }
    return *compiler;
  }

  /// The sum over all.
  ch3::CacheInfo info() {
    std::lock_guard<std::mutex> guard(lock);
    ch3::CacheInfo sum;
    for (const auto &[key, compiler] : all) {
      ch3::CacheInfo one = compiler->info();
      sum.hits += one.hits;
      sum.misses += one.misses;
      sum.compileSeconds += one.compileSeconds;
      sum.size += one.size;
      sum.capacity += one.capacity;
    }
    return sum;
  }

  void clear() {
    std::lock_guard<std::mutex> guard(lock);
    for (const auto &[key, compiler] : all)
      compiler->clear();
  }

private:
  std::mutex lock;
  std::map<std::tuple<const Pipeline *, int64_t, bool>,
           std::unique_ptr<ch9::Compiler>>
      all;
};
// [/compilers]

/// Never destroyed: at the end of the process a thread may still be computing.
static Compilers &compilers() {
  static Compilers &all = *new Compilers;
  return all;
}

// [leaves]
static py::array checkMatrix(const py::object &object, const char *name) {
  return ch1::checkArray(object, name, "float32",
                         {ch1::kAnySize, ch1::kAnySize});
}

static ch9::Tensor rows(const py::object &array) {
  return ch9::leaf(checkMatrix(array, "array"), ch9::LeafKind::Rows);
}

static ch9::Tensor constant(const py::object &object,
                            const std::string &dtype) {
  if (dtype != "float32" && dtype != "bfloat16")
    throw std::invalid_argument(
        "dtype: expected 'float32' or 'bfloat16', got '" + dtype + "'");
  py::array array = checkMatrix(object, "array");
  return dtype == "bfloat16" ? ch9::bf16Constant(array)
                             : ch9::leaf(array, ch9::LeafKind::Constant);
}

/// {name of the order: bytes it takes}
static py::dict layouts(const ch9::Tensor &tensor) {
  py::dict all;
  for (const auto &[name, array] : tensor->layouts)
    all[py::str(name)] = array.nbytes();
  return all;
}
// [/leaves]

} // namespace ch10

PYBIND11_MODULE(ch10_optimization, m) {
  using namespace ch10;
  m.doc() =
      "Chapter 10: the dialect of chapter 9 through a ladder of pipelines.";
  std::string standard = pipelines().back().name;
  ch9::bindTensorClass(m,
                       [=]() -> ch9::Compiler & {
                         return compilers().of(standard, 1, std::nullopt);
                       },
                       {ch9::add, ch9::mul, ch9::matmul});
  std::function<ch9::Compiler &(const std::string &, int64_t,
                                std::optional<int64_t>)>
      choose = [](const std::string &pipeline, int64_t numThreads,
                  std::optional<int64_t> lanes) -> ch9::Compiler & {
    return compilers().of(pipeline, numThreads, lanes);
  };
  ch9::bindCalls(m, choose, py::arg("pipeline") = standard,
                 py::arg("num_threads") = 1, py::arg("lanes") = py::none());
  ch9::bindOps(m);
  ch3::bindCache(m, compilers());

  m.def("rows", rows, py::arg("array"),
        "rows(array [M, K] float32): a value whose number of rows is no part "
        "of the compiled function. The next call may bring another number, "
        "and compiles nothing. For the pipelines 'baseline' and 'optimized'.");
  m.def("constant", constant, py::arg("array"), py::arg("dtype") = "float32",
        "constant(array [M, N] float32, dtype): a value that never changes; "
        "the array is copied. As the second factor of a product it is brought "
        "once into the order in which the pipeline 'optimized' reads it, and "
        "kept in it. dtype='bfloat16' rounds it to that; products with it "
        "round the other factor too, and add up in float32.");
  m.def("layouts", layouts, py::arg("tensor"),
        "{order: bytes}: the orders that a constant is kept in so far.");
  m.def(
      "tile",
      [](std::optional<int64_t> lanes) {
        Tile tile = targetOf(lanes, 1).tile;
        py::dict said;
        said["lanes"] = tile.lanes;
        said["rows"] = tile.rows;
        said["columns"] = tile.columns;
        said["reason"] = tile.reason;
        said["bfloat16"] =
            hostHasBF16Dot() && tile.lanes == 16
                ? "AVX512-BF16: two multiply-adds a lane and instruction"
                : "widened to float32 and multiplied there";
        return said;
      },
      py::arg("lanes") = py::none(),
      "The register tile of the pipeline 'optimized' on this machine, or for "
      "vectors of 16, 8 or 4 floats, and why it is that.");
  py::list names;
  for (const Pipeline &pipeline : pipelines())
    names.append(pipeline.name);
  m.attr("PIPELINES") = py::tuple(names);
}
