//===- python.cpp - the Python names that ch.11 to ch.14 share ------------===//
//
// The Tensor class is ch.9's; + * @ and the functions make this dialect's ops.
//
//===----------------------------------------------------------------------===//

#include "ch11/Python.h"

#include "ch11/Ops.h"

namespace py = pybind11;
using ch9::toTensor;

namespace ch11 {

static void bindOps(py::module_ &m) {
  ch9::bindBinary(m, "add", add,
                  "a + b; b has a's shape, or is a vector added to every row.");
  ch9::bindBinary(m, "mul", mul, "a * b, element by element; shapes as add.");
  ch9::bindBinary(m, "matmul", matmul,
                  "a @ b: [M, K] x [K, N] -> [M, N], or the same for H pairs.");
  ch9::bindUnary(m, "transpose", transpose, "t", "Swaps the last two axes.");
  ch9::bindUnary(m, "softmax", softmax, "t", "Softmax over the last axis.");
  m.def(
      "scale",
      [](const py::object &t, float factor) {
        return scale(toTensor(t, "t"), factor);
      },
      py::arg("t"), py::arg("factor"), "t times a number.");
}

void bindTensor(py::module_ &m, ch9::Compiler &compiler) {
  ch9::bindTensor(m, compiler, {add, mul, matmul, scale});
  bindOps(m);
}

} // namespace ch11
