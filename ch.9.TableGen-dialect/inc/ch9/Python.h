//===- Python.h - the Python names around expressions ---------------------===//
#pragma once

#include "ch1/Inspect.h"
#include "ch9/Compiler.h"

#include <functional>

namespace ch9 {

/// `object` as a value: a Tensor, or a float32 array of rank 1 to 3. Throws
/// TypeError or ValueError with the argument's name.
Tensor toTensor(pybind11::handle object, const std::string &name);

/// What the operators of Python make. They check shapes, and throw
/// std::invalid_argument.
struct Operators {
  Tensor (*add)(const Tensor &a, const Tensor &b);
  Tensor (*mul)(const Tensor &a, const Tensor &b);
  Tensor (*matmul)(const Tensor &a, const Tensor &b);
  Tensor (*scale)(const Tensor &t, float factor) = nullptr; // t * number
};

/// Adds to a chapter's module: Tensor, forward, cache_info, clear_cache, ir,
/// stages, llvm_ir, assembly, CompileError. `compiler` must live as long as the
/// process.
void bindTensor(pybind11::module_ &m, Compiler &compiler,
                const Operators &operators);

/// For a chapter with several compilers: Tensor and CompileError alone;
/// `standard` gives the compiler of Tensor.numpy(), on the thread that calls.
void bindTensorClass(pybind11::module_ &m,
                     const std::function<Compiler &()> &standard,
                     const Operators &operators);

// [calls]
/// And forward, ir, stages, llvm_ir, assembly: `choose(args…)` gives the
/// compiler, on the thread that calls; `extra` describes args to Python.
template <typename... Args, typename... Extra>
void bindCalls(pybind11::module_ &m,
               const std::function<Compiler &(Args...)> &choose,
               const Extra &...extra) {
  namespace py = pybind11;
  m.def(
      "forward",
      [=](const py::object &tensor, Args... args) {
        return forward(choose(args...), toTensor(tensor, "tensor"));
      },
      py::arg("tensor"), extra...,
      "Computes an expression: compiles its structure once, then calls it. "
      "Returns a new array.");
  auto read = [&](const char *name, auto function, const char *doc) {
    m.def(
        name,
        [=](const py::object &tensor, Args... args) {
          Tensor t = toTensor(tensor, "tensor");
          Graph graph(t);
          const Compiler &compiler = choose(args...);
          // Compiling can take seconds: other Python threads run meanwhile.
          py::gil_scoped_release release;
          return function(compiler, graph);
        },
        py::arg("tensor"), extra..., doc);
  };
  using C = const Compiler &;
  using G = const Graph &;
  read(
      "ir", [](C compiler, G graph) { return compiler.ir(graph); },
      "The IR of the expression, as it is built.");
  read(
      "stages",
      [](C compiler, G graph) {
        return ch1::stageList(compiler.stages(graph));
      },
      "[(pass name, IR after it)], the first being (\"input\", ir(tensor)).");
  read(
      "llvm_ir", [](C compiler, G graph) { return compiler.llvmIR(graph); },
      "The optimized LLVM IR of the compiled function.");
  read(
      "assembly", [](C compiler, G graph) { return compiler.assembly(graph); },
      "The assembly of the compiled function on this machine.");
}
// [/calls]

/// Adds to `m` a function of one value, or of a and b; arrays become values.
void bindUnary(pybind11::module_ &m, const char *name,
               Tensor (*op)(const Tensor &), const char *argument,
               const char *doc);
void bindBinary(pybind11::module_ &m, const char *name,
                Tensor (*op)(const Tensor &a, const Tensor &b),
                const char *doc);

/// Adds the ops of nn to `m`: add, mul, matmul, transpose, relu, softmax,
/// linear (nn_python.cpp).
void bindOps(pybind11::module_ &m);

} // namespace ch9
