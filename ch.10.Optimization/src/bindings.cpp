//===- bindings.cpp - the Python module ch10_optimization -----------------===//
//
// Ch.9's Tensor and ops, and one compiler for each rung of the ladder.
//
//===----------------------------------------------------------------------===//

#include "ch10/Passes.h"
#include "ch3/Python.h"
#include "ch9/Ops.h"
#include "ch9/Python.h"

namespace py = pybind11;

namespace ch10 {

// [compilers]
/// A compiler for each rung, in the order of pipelines().
class Compilers {
public:
  Compilers() {
    for (const Pipeline &pipeline : pipelines())
      all.push_back(std::make_unique<ch9::Compiler>(
          ch9::Language{registerDialects, pipeline.build}));
  }

  /// Throws std::invalid_argument where no rung has that name.
  ch9::Compiler &of(const std::string &name) const {
    std::string known;
    for (auto [i, pipeline] : llvm::enumerate(pipelines())) {
      if (name == pipeline.name)
        return *all[i];
      known += (i ? ", '" : "'") + std::string(pipeline.name) + "'";
    }
    throw std::invalid_argument("pipeline: expected one of " + known +
                                ", got '" + name + "'");
  }

  /// The sum over all rungs.
  ch3::CacheInfo info() const {
    ch3::CacheInfo sum;
    for (const auto &compiler : all) {
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
    for (const auto &compiler : all)
      compiler->clear();
  }

private:
  std::vector<std::unique_ptr<ch9::Compiler>> all;
};
// [/compilers]

/// Never destroyed: at the end of the process a thread may still be computing.
static Compilers &compilers() {
  static Compilers &all = *new Compilers;
  return all;
}

static ch9::Compiler &compilerOf(const std::string &name) {
  return compilers().of(name);
}

} // namespace ch10

PYBIND11_MODULE(ch10_optimization, m) {
  using namespace ch10;
  m.doc() =
      "Chapter 10: the dialect of chapter 9 through a ladder of pipelines.";
  ch9::bindTensor(m, compilerOf, pipelines().back().name,
                  {ch9::add, ch9::mul, ch9::matmul});
  ch9::bindOps(m);
  ch3::bindCache(m, compilers());
  py::list names;
  for (const Pipeline &pipeline : pipelines())
    names.append(pipeline.name);
  m.attr("PIPELINES") = py::tuple(names);
}
