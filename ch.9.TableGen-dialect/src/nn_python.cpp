//===- nn_python.cpp - the ops of nn in Python ----------------------------===//
//
// Of this chapter and of ch.10, which optimizes the same dialect.
//
//===----------------------------------------------------------------------===//

#include "ch9/Ops.h"
#include "ch9/Python.h"

namespace py = pybind11;

namespace ch9 {

void bindOps(py::module_ &m) {
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

} // namespace ch9
