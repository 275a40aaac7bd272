//===- python.cpp - the Python names of ch.12 -----------------------------===//
//
// Bound into ch12_transformer here and into ch13_gpt by ch.13: the same lines.
//
//===----------------------------------------------------------------------===//

#include "ch12/Python.h"
#include "ch12/Ops.h"

#include "ch11/Ops.h"
#include "ch11/Python.h"

#include <pybind11/stl.h>

namespace py = pybind11;
using ch9::toTensor;

namespace ch12 {

// [weights]
/// Sixteen arrays or Tensors, in the order of the API, as a block's weights.
static BlockWeights toBlock(llvm::ArrayRef<py::object> arrays,
                            const std::string &prefix) {
  static const char *const names[kArraysPerBlock] = {
      "wq",     "bq",    "wk", "bk", "wv", "bv", "wo",     "bo",
      "gamma1", "beta1", "w1", "b1", "w2", "b2", "gamma2", "beta2"};
  std::vector<Tensor> w;
  for (size_t i = 0; i < kArraysPerBlock; ++i)
    w.push_back(toTensor(arrays[i], prefix + names[i]));
  return {{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]},
          w[8],
          w[9],
          w[10],
          w[11],
          w[12],
          w[13],
          w[14],
          w[15]};
}
// [/weights]

std::vector<py::object> flattenLayers(const py::sequence &weights) {
  std::vector<py::object> flat;
  for (py::handle item : weights) {
    if (!py::isinstance<py::list>(item) && !py::isinstance<py::tuple>(item)) {
      flat.push_back(py::reinterpret_borrow<py::object>(item));
      continue;
    }
    if (py::len(item) != kArraysPerBlock)
      throw py::value_error("weights: expected 16 arrays in each layer, got " +
                            std::to_string(py::len(item)));
    for (py::handle array : item)
      flat.push_back(py::reinterpret_borrow<py::object>(array));
  }
  if (flat.size() % kArraysPerBlock != 0)
    throw py::value_error("weights: expected 16 arrays for each layer, got " +
                          std::to_string(flat.size()) + " in all");
  return flat;
}

// [layers]
static Tensor multiLayer(const py::object &x, const py::sequence &weights,
                         int64_t numHeads) {
  std::vector<py::object> flat = flattenLayers(weights);
  Tensor y = toTensor(x, "x");
  for (size_t first = 0; first < flat.size(); first += kArraysPerBlock) {
    std::string prefix =
        "layer " + std::to_string(first / kArraysPerBlock) + ": ";
    llvm::ArrayRef<py::object> layer(flat.data() + first, kArraysPerBlock);
    try {
      y = transformerBlock(y, toBlock(layer, prefix), numHeads);
    } catch (const std::invalid_argument &error) {
      throw std::invalid_argument(prefix + error.what());
    }
  }
  return y;
}
// [/layers]

static void bindOps(py::module_ &m) {
  m.def(
      "layer_norm",
      [](const py::object &x, const py::object &gamma, const py::object &beta,
         float epsilon) {
        return layerNorm(toTensor(x, "x"), toTensor(gamma, "gamma"),
                         toTensor(beta, "beta"), epsilon);
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"),
      py::arg("epsilon") = 1e-5f,
      "layer_norm(x [T, D], gamma [D], beta [D]) -> [T, D]\n\n"
      "Each row with mean 0 and variance 1, times gamma, plus beta.");
  m.def(
      "linear",
      [](const py::object &x, const py::object &w, const py::object &b) {
        return linear(toTensor(x, "x"), toTensor(w, "w"), toTensor(b, "b"));
      },
      py::arg("x"), py::arg("w"), py::arg("b"),
      "linear(x [T, in], w [out, in], b [out]) -> x @ w.T + b");
  m.def(
      "gelu", [](const py::object &x) { return gelu(toTensor(x, "x")); },
      py::arg("x"), "x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2");
}

static void bindCompositions(py::module_ &m) {
  m.def(
      "ffn",
      [](const py::object &x, const py::object &w1, const py::object &b1,
         const py::object &w2, const py::object &b2) {
        return ffn(toTensor(x, "x"), toTensor(w1, "w1"), toTensor(b1, "b1"),
                   toTensor(w2, "w2"), toTensor(b2, "b2"));
      },
      py::arg("x"), py::arg("w1"), py::arg("b1"), py::arg("w2"), py::arg("b2"),
      "linear(gelu(linear(x, w1, b1)), w2, b2); w1 [F, D], w2 [D, F].");
  m.def(
      "scaled_dot_product_attention",
      [](const py::object &q, const py::object &k, const py::object &v) {
        return ch11::attention(toTensor(q, "q"), toTensor(k, "k"),
                               toTensor(v, "v"));
      },
      py::arg("q"), py::arg("k"), py::arg("v"),
      "softmax(q k^T / sqrt(D)) v: ch.11's attention with one head.");
  m.def(
      "attention",
      [](const py::object &x, const py::object &wq, const py::object &bq,
         const py::object &wk, const py::object &bk, const py::object &wv,
         const py::object &bv, const py::object &wo, const py::object &bo,
         int64_t numHeads) {
        return attention(toTensor(x, "x"),
                         {toTensor(wq, "wq"), toTensor(bq, "bq"),
                          toTensor(wk, "wk"), toTensor(bk, "bk"),
                          toTensor(wv, "wv"), toTensor(bv, "bv"),
                          toTensor(wo, "wo"), toTensor(bo, "bo")},
                         numHeads);
      },
      py::arg("x"), py::arg("wq"), py::arg("bq"), py::arg("wk"), py::arg("bk"),
      py::arg("wv"), py::arg("bv"), py::arg("wo"), py::arg("bo"),
      py::arg("num_heads") = 1,
      "attention(x [T, D], wq [D, D], bq [D], ...) -> [T, D]: q, k and v from "
      "x "
      "by linear layers, attention in num_heads heads, one more linear layer.");
  m.def(
      "transformer_block",
      [](const py::object &x, const py::object &wq, const py::object &bq,
         const py::object &wk, const py::object &bk, const py::object &wv,
         const py::object &bv, const py::object &wo, const py::object &bo,
         const py::object &gamma1, const py::object &beta1,
         const py::object &w1, const py::object &b1, const py::object &w2,
         const py::object &b2, const py::object &gamma2,
         const py::object &beta2, int64_t numHeads) {
        py::object arrays[] = {wq,     bq,    wk, bk, wv, bv, wo,     bo,
                               gamma1, beta1, w1, b1, w2, b2, gamma2, beta2};
        return transformerBlock(toTensor(x, "x"), toBlock(arrays, ""),
                                numHeads);
      },
      py::arg("x"), py::arg("wq"), py::arg("bq"), py::arg("wk"), py::arg("bk"),
      py::arg("wv"), py::arg("bv"), py::arg("wo"), py::arg("bo"),
      py::arg("gamma1"), py::arg("beta1"), py::arg("w1"), py::arg("b1"),
      py::arg("w2"), py::arg("b2"), py::arg("gamma2"), py::arg("beta2"),
      py::arg("num_heads") = 1,
      "y = x + attention(layer_norm(x)); y + ffn(layer_norm(y)) (pre-norm).");
  m.def("multi_layer_transformer", &multiLayer, py::arg("x"),
        py::arg("weights"), py::arg("num_heads") = 1,
        "transformer_block, layer after layer. weights: 16 arrays for each "
        "layer in the order of transformer_block, as one list or as a list of "
        "lists.");
}

void bindLayers(py::module_ &m) {
  bindOps(m);
  bindCompositions(m);
}

} // namespace ch12
