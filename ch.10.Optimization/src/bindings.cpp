//===- bindings.cpp - the Python module ch10_optimization -----------------===//
//
// Ch.9's Tensor and ops, and one compiler for each rung of the ladder.
//
//===----------------------------------------------------------------------===//

#include "ch1/Inspect.h"
#include "ch10/Passes.h"
#include "ch9/Ops.h"
#include "ch9/Python.h"

namespace py = pybind11;

namespace ch10 {

/// The compiler of a rung. Never destroyed: at the end of the process a thread
/// may still be computing.
static ch9::Compiler &compilerOf(const std::string &name) {
  static auto &compilers = *new std::vector<std::unique_ptr<ch9::Compiler>>([] {
    std::vector<std::unique_ptr<ch9::Compiler>> all;
    for (const Pipeline &pipeline : pipelines())
      all.push_back(std::make_unique<ch9::Compiler>(
          ch9::Language{registerDialects, pipeline.build}));
    return all;
  }());
  std::string known;
  for (auto [i, pipeline] : llvm::enumerate(pipelines())) {
    if (name == pipeline.name)
      return *compilers[i];
    known += (i ? ", '" : "'") + std::string(pipeline.name) + "'";
  }
  throw std::invalid_argument("pipeline: expected one of " + known + ", got '" +
                              name + "'");
}

} // namespace ch10

PYBIND11_MODULE(ch10_optimization, m) {
  using namespace ch10;
  m.doc() =
      "Chapter 10: the dialect of chapter 9 through a ladder of pipelines.";
  ch9::bindTensor(m, compilerOf, pipelines().back().name,
                  {ch9::add, ch9::mul, ch9::matmul});
  ch9::bindOps(m);
  py::list names;
  for (const Pipeline &pipeline : pipelines())
    names.append(pipeline.name);
  m.attr("PIPELINES") = py::tuple(names);
}
