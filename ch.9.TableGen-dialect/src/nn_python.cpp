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
  bindBinary(m, "add", add,
             "a + b; b has a's shape, or is a vector added to every row.");
  bindBinary(m, "mul", mul, "a * b, element by element; shapes as add.");
  bindBinary(m, "matmul", matmul, "a @ b: [M, K] x [K, N] -> [M, N]");
  bindUnary(m, "transpose", transpose, "x", "[M, N] -> [N, M]");
  bindUnary(m, "relu", relu, "x",
            "The larger of each element and 0; NaN stays NaN.");
  bindUnary(m, "softmax", softmax, "x",
            "exp(x - max) / sum(exp(x - max)) over the last axis.");
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
