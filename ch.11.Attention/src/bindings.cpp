//===- bindings.cpp - the Python module ch11_attention --------------------===//
//
// The shared names come from python.cpp; here are the two that are this
// chapter's own.
//
//===----------------------------------------------------------------------===//

#include "ch11/Lowering.h"
#include "ch11/Ops.h"
#include "ch11/Python.h"
#include "ch11/Reference.h"

namespace py = pybind11;
using namespace ch9;
using namespace ch11;

/// Checks like attention(), then computes at once.
static py::array reference(const py::object &q, const py::object &k,
                           const py::object &v, int64_t numHeads, bool causal) {
  auto matrix = [](const py::object &object, const char *name) {
    return ch1::contiguous(ch1::checkArray(object, name, "float32",
                                           {ch1::kAnySize, ch1::kAnySize}));
  };
  py::array Q = matrix(q, "q"), K = matrix(k, "k"), V = matrix(v, "v");
  attention(leaf(Q), leaf(K), leaf(V), numHeads, causal);
  py::array_t<float> out({Q.shape(0), V.shape(1)});
  auto read = [](const py::array &array) {
    return static_cast<const float *>(array.data());
  };
  float *result = out.mutable_data();
  {
    py::gil_scoped_release release;
    attentionReference(read(Q), read(K), read(V), result, Q.shape(0),
                       K.shape(0), Q.shape(1), V.shape(1), numHeads, causal);
  }
  return out;
}

PYBIND11_MODULE(ch11_attention, m) {
  m.doc() = "Chapter 11: attention as an op, compiled once for each structure.";
  // Never destroyed: at the end of the process a thread may still be computing.
  static Compiler &compiler =
      *new Compiler({ch11::registerDialects, ch11::buildPipeline});
  ch11::bindTensor(m, compiler);

  m.def(
      "attention",
      [](const py::object &q, const py::object &k, const py::object &v,
         int64_t numHeads, bool causal) {
        return attention(toTensor(q, "q"), toTensor(k, "k"), toTensor(v, "v"),
                         numHeads, causal);
      },
      py::arg("q"), py::arg("k"), py::arg("v"), py::arg("num_heads") = 1,
      py::arg("causal") = false,
      "attention(q [T, D], k [S, D], v [S, E]) -> [T, E]\n\n"
      "softmax(q k^T / sqrt(D / num_heads)) v, in each of num_heads groups of "
      "columns. causal: row t sees keys 0 to t, and S must be T.");
  m.def(
      "attention_reference", &reference, py::arg("q"), py::arg("k"),
      py::arg("v"), py::arg("num_heads") = 1, py::arg("causal") = false,
      "The same in plain C++ on arrays, with sums in double: for validation.");
}
