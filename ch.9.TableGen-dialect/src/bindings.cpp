//===- bindings.cpp - the Python module ch9_tablegen_dialect --------------===//
//
// Tensor and forward come from python.cpp; here are the ops of this dialect.
//
//===----------------------------------------------------------------------===//

#include "ch9/Interop.h"
#include "ch9/Lowering.h"
#include "ch9/Ops.h"
#include "ch9/Python.h"

namespace py = pybind11;
using namespace ch9;

PYBIND11_MODULE(ch9_tablegen_dialect, m) {
  m.doc() = "Chapter 9: a dialect by TableGen, and expressions that are "
            "compiled once for each structure.";
  // Never destroyed: at the end of the process a thread may still be computing.
  static Compiler &compiler = *new Compiler({registerDialects, buildPipeline});
  bindTensor(m, compiler, {add, mul, matmul});
  bindInterop(m, {registerDialects, buildPipeline});

  m.def(
      "add",
      [](const py::object &a, const py::object &b) {
        return add(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"),
      "a + b; b has a's shape, or is a vector added to every row.");
  m.def(
      "mul",
      [](const py::object &a, const py::object &b) {
        return mul(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"), "a * b, element by element; shapes as add.");
  m.def(
      "matmul",
      [](const py::object &a, const py::object &b) {
        return matmul(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"), "a @ b: [M, K] x [K, N] -> [M, N]");
  m.def(
      "transpose",
      [](const py::object &x) { return transpose(toTensor(x, "x")); },
      py::arg("x"), "[M, N] -> [N, M]");
  m.def(
      "relu", [](const py::object &x) { return relu(toTensor(x, "x")); },
      py::arg("x"), "The larger of each element and 0; NaN stays NaN.");
  m.def(
      "softmax", [](const py::object &x) { return softmax(toTensor(x, "x")); },
      py::arg("x"), "exp(x - max) / sum(exp(x - max)) over the last axis.");
  m.def(
      "linear",
      [](const py::object &x, const py::object &w, const py::object &b) {
        std::optional<Tensor> bias;
        if (!b.is_none())
          bias = toTensor(b, "b");
        return linear(toTensor(x, "x"), toTensor(w, "w"), bias);
      },
      py::arg("x"), py::arg("w"), py::arg("b") = py::none(),
      "x @ w.T + b: x [M, in], w [out, in], b [out] or None -> [M, out]");
}
