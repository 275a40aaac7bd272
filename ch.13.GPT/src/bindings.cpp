//===- bindings.cpp - the Python module ch13_gpt --------------------------===//
//
//   ch11::bindTensor      Tensor, forward, add, matmul, …, ir, cache_info
//   ch12::bindLayers      layer_norm, linear, gelu, ffn, …
//   here                  embedding, rope, gpt_block, …
//   ch13_weights.py       load_gpt2_weights
//   ch13_gpt2.py          gpt2_logits
//   ch13_generate.py      generate
//
// The Python files build expressions with this module; it imports each of them
// when one of its names is asked for.
//
//===----------------------------------------------------------------------===//

#include "ch11/Ops.h"
#include "ch11/Python.h"
#include "ch12/Python.h"
#include "ch13/Lowering.h"
#include "ch13/Ops.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"

namespace py = pybind11;
using namespace ch13;
using ch9::toTensor;

// [to-ids]
/// A copy: what embedding() checks is what the kernel will read, even if the
/// caller's array changes in between.
static Tensor toIds(const py::object &ids) {
  py::array array = ch1::checkArray(ids, "ids", "int32", {ch1::kAnySize});
  return ch9::leaf(array.attr("copy")().cast<py::array>());
}
// [/to-ids]

// [weights]
/// 16 arrays in the order of gpt_block, which has the norms at the end, as the
/// weights of a block.
static BlockWeights toBlock(llvm::ArrayRef<py::object> arrays,
                            const std::string &prefix = "") {
  static const char *const names[ch12::kArraysPerBlock] = {
      "wq", "bq", "wk", "bk", "wv",     "bv",    "wo",     "bo",
      "w1", "b1", "w2", "b2", "gamma1", "beta1", "gamma2", "beta2"};
  llvm::StringMap<Tensor> w;
  for (auto [array, name] : llvm::zip_equal(arrays, names))
    w.try_emplace(name, toTensor(array, prefix + name));
  auto at = [&w](const char *name) { return w.find(name)->second; };
  return {{at("wq"), at("bq"), at("wk"), at("bk"), at("wv"), at("bv"), at("wo"),
           at("bo")},
          at("gamma1"),
          at("beta1"),
          at("w1"),
          at("b1"),
          at("w2"),
          at("b2"),
          at("gamma2"),
          at("beta2")};
}
// [/weights]

/// A sequence of 16 arrays a layer, or of layers of 16 arrays.
static std::vector<BlockWeights> toLayers(const py::sequence &weights) {
  std::vector<py::object> flat = ch12::flattenLayers(weights);
  std::vector<BlockWeights> layers;
  for (size_t first = 0; first < flat.size(); first += ch12::kArraysPerBlock) {
    size_t layer = first / ch12::kArraysPerBlock;
    layers.push_back(toBlock({flat.data() + first, ch12::kArraysPerBlock},
                             "layer " + std::to_string(layer) + ": "));
  }
  return layers;
}

/// One op each.
static void bindOps(py::module_ &m) {
  m.def(
      "embedding",
      [](const py::object &ids, const py::object &table) {
        return embedding(toIds(ids), toTensor(table, "table"));
      },
      py::arg("ids"), py::arg("table"),
      "embedding(ids [T] int32, table [V, D]) -> [T, D]: row ids[t] of the "
      "table. ValueError for an id outside of it.");
  m.def(
      "columns",
      [](const py::object &t, int64_t first, int64_t count) {
        return columns(toTensor(t, "t"), first, count);
      },
      py::arg("t"), py::arg("first"), py::arg("count"),
      "t[:, first : first + count], as a view.");
  m.def("create_causal_mask", &causalMask, py::arg("T"),
        "[T, T]: 0 on and below the diagonal, -inf above.");
  m.def(
      "masked_softmax",
      [](const py::object &x, const py::object &mask) {
        return maskedSoftmax(toTensor(x, "x"), toTensor(mask, "mask"));
      },
      py::arg("x"), py::arg("mask"),
      "softmax(x + mask) over the last axis; x [T, S] or [H, T, S], mask "
      "[T, S].");
  m.def(
      "rope",
      [](const py::object &x, double base, int64_t numHeads) {
        return rope(toTensor(x, "x"), static_cast<float>(base), numHeads);
      },
      py::arg("x"), py::arg("base") = 10000.0, py::arg("num_heads") = 1,
      "rope(x [T, D]) -> [T, D]: in each of num_heads groups of W columns the "
      "pair (2i, 2i + 1) of row t is turned by the angle t * base^(-2i / W).");
  m.def(
      "causal_attention",
      [](const py::object &q, const py::object &k, const py::object &v,
         int64_t numHeads) {
        return ch11::attention(toTensor(q, "q"), toTensor(k, "k"),
                               toTensor(v, "v"), numHeads, /*causal=*/true);
      },
      py::arg("q"), py::arg("k"), py::arg("v"), py::arg("num_heads") = 1,
      "ch.11's attention(q, k, v, num_heads, causal=True), a name that ch.12 "
      "gave to the layer with weights.");
}

// [bind-gpt]
/// A GPT out of ops.
static void bindGpt(py::module_ &m) {
  using O = const py::object &;
  m.def(
      "gpt_attention",
      [](O x, O wq, O bq, O wk, O bk, O wv, O bv, O wo, O bo, int64_t heads) {
        return gptAttention(toTensor(x, "x"),
                            {toTensor(wq, "wq"), toTensor(bq, "bq"),
                             toTensor(wk, "wk"), toTensor(bk, "bk"),
                             toTensor(wv, "wv"), toTensor(bv, "bv"),
                             toTensor(wo, "wo"), toTensor(bo, "bo")},
                            heads);
      },
      py::arg("x"), py::arg("wq"), py::arg("bq"), py::arg("wk"), py::arg("bk"),
      py::arg("wv"), py::arg("bv"), py::arg("wo"), py::arg("bo"),
      py::arg("num_heads") = 1,
      "Causal attention of x [T, D] with itself; rope gives q and k their "
      "positions, head by head. w [D, D] as [out, in], b [D].");
  m.def(
      "gpt_block",
      [](O x, O wq, O bq, O wk, O bk, O wv, O bv, O wo, O bo, O w1, O b1, O w2,
         O b2, O gamma1, O beta1, O gamma2, O beta2, int64_t heads) {
        py::object arrays[] = {wq, bq, wk, bk, wv,     bv,    wo,     bo,
                               w1, b1, w2, b2, gamma1, beta1, gamma2, beta2};
        return gptBlock(toTensor(x, "x"), toBlock(arrays), heads);
      },
      py::arg("x"), py::arg("wq"), py::arg("bq"), py::arg("wk"), py::arg("bk"),
      py::arg("wv"), py::arg("bv"), py::arg("wo"), py::arg("bo"), py::arg("w1"),
      py::arg("b1"), py::arg("w2"), py::arg("b2"), py::arg("gamma1"),
      py::arg("beta1"), py::arg("gamma2"), py::arg("beta2"),
      py::arg("num_heads") = 1,
      "y = x + gpt_attention(layer_norm(x, gamma1, beta1), …); "
      "y + ffn(layer_norm(y, gamma2, beta2), w1 [F, D], b1, w2 [D, F], b2).");
  m.def(
      "gpt_forward",
      [](O ids, O table, const py::sequence &weights, O finalGamma, O finalBeta,
         int64_t heads) {
        return gptForward(toIds(ids), toTensor(table, "table"),
                          toLayers(weights),
                          toTensor(finalGamma, "final_gamma"),
                          toTensor(finalBeta, "final_beta"), heads);
      },
      py::arg("ids"), py::arg("table"), py::arg("weights"),
      py::arg("final_gamma"), py::arg("final_beta"), py::arg("num_heads") = 1,
      "gpt_forward(ids [T] int32, table [V, D], weights, …) -> hidden [T, "
      "D]\n\n"
      "weights: for each layer the 16 arrays of gpt_block, in its order, in "
      "one "
      "list or in a list of layers.");
}
// [/bind-gpt]

// [module]
PYBIND11_MODULE(ch13_gpt, m) {
  m.doc() = "Chapter 13: a GPT out of ops, and GPT-2 with pretrained weights.";
  // Never destroyed: at the end of the process a thread may still be computing.
  static ch9::Compiler &compiler =
      *new ch9::Compiler({registerDialects, buildPipeline});
  ch11::bindTensor(m, compiler);
  ch12::bindLayers(m);
  bindOps(m);
  bindGpt(m);

  ch1::bindPythonNames(
      m, {{"ch13_weights", {"GPT2Config", "GPT2Weights", "load_gpt2_weights"}},
          {"ch13_gpt2", {"gpt2_logits", "next_logits"}},
          {"ch13_generate", {"generate", "generate_ids"}}});
}
// [/module]
