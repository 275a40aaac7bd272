// cached_forward.cpp - ch.13's GPT with a cache made of values.
//
//   prefill(ids)          hidden [T, D], keys and values [layers, T, D]
//   decode(ids, k, v)     hidden [T, D], keys and values [layers, P + T, D]
//
// Keys and values go in and come out as arrays, and nothing is written in
// place: each call copies the past, and each length is a structure of its own
// that is compiled. The paged step of this chapter does neither.
#include "ch11/Ops.h"
#include "ch11/Python.h"
#include "ch12/Python.h"
#include "ch13/Lowering.h"
#include "ch14/CachedForward.h"
#include "ch14/Step.h"
#include "ch14/StepOps.h"
#include "ch3/Python.h"
#include "ch9/Compiler.h"

#include "mlir/Pass/Pass.h"

namespace py = pybind11;

namespace ch14 {

//===--- The expression ---------------------------------------------------===//

static Tensor append(const Tensor &past, const Tensor &next) {
  return ch9::makeNode("transformer.append", {past, next}, {},
                       {past.shape()[0] + next.shape()[0], next.shape()[1]});
}

// [cached-attention]
/// ch.13's gptAttention of tokens that stand after `past` others, whose keys
/// and values are in the cache of this layer; null in a prefill.
static Tensor attend(const Tensor &x, const ch13::AttentionWeights &w,
                     int64_t numHeads, int64_t past, const Tensor *keys,
                     const Tensor *values, Cache &grown) {
  auto turned = [&](const Tensor &t) {
    return ch13::rope(t, ch13::kRopeBase, numHeads, /*first=*/past);
  };
  Tensor q = turned(ch12::linear(x, w.wq, w.bq));
  Tensor k = turned(ch12::linear(x, w.wk, w.bk));
  Tensor v = ch12::linear(x, w.wv, w.bv);
  if (keys) {
    k = append(*keys, k);
    v = append(*values, v);
  }
  grown.keys.push_back(k);
  grown.values.push_back(v);
  Tensor mixed = ch11::attention(q, k, v, numHeads, /*causal=*/true, past);
  return ch12::linear(mixed, w.wo, w.bo);
}
// [/cached-attention]

Tensor cachedForward(const Tensor &ids, const Tensor &table,
                     llvm::ArrayRef<ch13::BlockWeights> layers,
                     const Tensor &finalGamma, const Tensor &finalBeta,
                     int64_t numHeads, Cache &cache) {
  // Nothing is computed by this; its checks and sentences are ours.
  ch13::gptForward(ids, table, layers, finalGamma, finalBeta, numHeads);

  bool prefill = cache.keys.empty();
  int64_t past = prefill ? 0 : cache.keys.front().shape()[0];
  Cache grown;
  Tensor x = ch13::embedding(ids, table);
  for (size_t i = 0; i < layers.size(); ++i) {
    const ch13::BlockWeights &w = layers[i];
    Tensor normed = ch12::layerNorm(x, w.gamma1, w.beta1);
    Tensor y =
        ch11::add(x, attend(normed, w.attention, numHeads, past,
                            prefill ? nullptr : &cache.keys[i],
                            prefill ? nullptr : &cache.values[i], grown));
    x = ch11::add(y, ch12::ffn(ch12::layerNorm(y, w.gamma2, w.beta2), w.w1,
                               w.b1, w.w2, w.b2));
  }
  cache = std::move(grown);
  return ch12::layerNorm(x, finalGamma, finalBeta);
}

//===--- Python -----------------------------------------------------------===//

static void registerTensorDialects(mlir::DialectRegistry &registry) {
  ch13::registerDialects(registry);
  registerDialects(registry);
}

// [cached-pipeline]
static void buildTensorPipeline(mlir::OpPassManager &pm) {
  pm.addPass(createLowerAppendPass());
  ch13::buildPipeline(pm);
}
// [/cached-pipeline]

/// A copy, as in ch.13: what is checked is what the kernel reads.
static Tensor toIds(const py::object &ids) {
  py::array array = ch1::checkArray(ids, "ids", "int32", {ch1::kAnySize});
  return ch9::leaf(array.attr("copy")().cast<py::array>());
}

/// 16 arrays a layer in the order of ch.13's gpt_block.
static std::vector<ch13::BlockWeights> toLayers(const py::sequence &weights) {
  static const char *const names[ch12::kArraysPerBlock] = {
      "wq", "bq", "wk", "bk", "wv",     "bv",    "wo",     "bo",
      "w1", "b1", "w2", "b2", "gamma1", "beta1", "gamma2", "beta2"};
  std::vector<py::object> flat = ch12::flattenLayers(weights);
  if (flat.empty())
    throw py::value_error("weights: expected at least one layer, got none");
  std::vector<ch13::BlockWeights> layers;
  for (size_t first = 0; first < flat.size(); first += ch12::kArraysPerBlock) {
    std::string where =
        "layer " + std::to_string(first / ch12::kArraysPerBlock) + ": ";
    std::vector<Tensor> w;
    for (size_t i = 0; i < ch12::kArraysPerBlock; ++i)
      w.push_back(ch9::toTensor(flat[first + i], where + names[i]));
    layers.push_back({{w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]},
                      /*gamma1=*/w[12],
                      /*beta1=*/w[13],
                      /*w1=*/w[8],
                      /*b1=*/w[9],
                      /*w2=*/w[10],
                      /*b2=*/w[11],
                      /*gamma2=*/w[14],
                      /*beta2=*/w[15]});
  }
  return layers;
}

/// past_k or past_v: [layers, rows, width], as one array or as a list of them.
static std::vector<Tensor> toPast(const py::object &past, const char *name,
                                  int64_t layers, int64_t rows, int64_t width) {
  if (!py::isinstance<py::array>(past) && !py::isinstance<py::sequence>(past))
    throw py::type_error(
        std::string(name) + ": expected an array or a list of arrays, got " +
        py::type::of(past).attr("__name__").cast<std::string>());
  if (int64_t(py::len(past)) != layers)
    throw py::value_error(std::string(name) + ": expected " +
                          std::to_string(layers) + " layers, got " +
                          std::to_string(py::len(past)));
  std::vector<Tensor> result;
  for (int64_t i = 0; i < layers; ++i) {
    std::string which = std::string(name) + "[" + std::to_string(i) + "]";
    result.push_back(ch9::toTensor(py::object(past[py::int_(i)]), which));
    ch9::expectShape(result.back(), which, {rows, width});
    rows = result.back().shape()[0]; // all layers have as many
  }
  return result;
}

static py::object namedTuple(py::module_ &m, const char *name,
                             const char *fields) {
  py::object type =
      py::module_::import("collections").attr("namedtuple")(name, fields);
  type.attr("__module__") = m.attr("__name__");
  m.attr(name) = type;
  return type;
}

void bindCachedForward(py::module_ &m) {
  // Never destroyed: at the end of the process a thread may still be computing.
  static ch9::Compiler &compiler =
      *new ch9::Compiler({registerTensorDialects, buildTensorPipeline});
  py::object Result =
      namedTuple(m, "CachedForward", "hidden_states k_caches v_caches");

  auto run = [Result](const Tensor &hidden, const Cache &cache) {
    llvm::SmallVector<Tensor> outputs = {hidden};
    llvm::append_range(outputs, cache.keys);
    llvm::append_range(outputs, cache.values);
    std::vector<py::array> arrays = ch9::run(compiler, outputs);
    auto stack = [&](size_t first) {
      py::list parts;
      for (size_t i = 0; i < cache.keys.size(); ++i)
        parts.append(arrays[first + i]);
      return py::module_::import("numpy").attr("stack")(parts);
    };
    return Result(arrays[0], stack(1), stack(1 + cache.keys.size()));
  };

  using O = const py::object &;
  m.def(
      "gpt_forward_prefill",
      [run](O ids, O table, const py::sequence &weights, O gamma, O beta,
            int64_t heads) {
        Cache cache;
        Tensor hidden = cachedForward(
            toIds(ids), ch9::toTensor(table, "table"), toLayers(weights),
            ch9::toTensor(gamma, "final_gamma"),
            ch9::toTensor(beta, "final_beta"), heads, cache);
        return run(hidden, cache);
      },
      py::arg("ids"), py::arg("table"), py::arg("weights"),
      py::arg("final_gamma"), py::arg("final_beta"), py::arg("num_heads") = 1,
      "ch.13's gpt_forward, and what later tokens need of it.\n\n"
      "ids [T] int32 -> .hidden_states [T, D], .k_caches and .v_caches\n"
      "[layers, T, D]: the keys (after rope) and values of every token.");
  m.def(
      "gpt_forward_decode",
      [run](O ids, O table, const py::sequence &weights, O gamma, O beta,
            O pastK, O pastV, int64_t heads) {
        std::vector<ch13::BlockWeights> layers = toLayers(weights);
        Tensor embeddings = ch9::toTensor(table, "table");
        ch9::expectShape(embeddings, "table", {ch1::kAnySize, ch1::kAnySize});
        int64_t width = embeddings.shape()[1];
        Cache cache;
        cache.keys =
            toPast(pastK, "past_k", layers.size(), ch1::kAnySize, width);
        cache.values = toPast(pastV, "past_v", layers.size(),
                              cache.keys.front().shape()[0], width);
        Tensor hidden = cachedForward(
            toIds(ids), embeddings, layers, ch9::toTensor(gamma, "final_gamma"),
            ch9::toTensor(beta, "final_beta"), heads, cache);
        return run(hidden, cache);
      },
      py::arg("ids"), py::arg("table"), py::arg("weights"),
      py::arg("final_gamma"), py::arg("final_beta"), py::arg("past_k"),
      py::arg("past_v"), py::arg("num_heads") = 1,
      "The same for ids that stand after the P tokens of past_k and past_v\n"
      "[layers, P, D]: .hidden_states [T, D] of the new ids, .k_caches and\n"
      ".v_caches [layers, P + T, D]. The past is copied, never written to.");
  // Of the two functions above.
  ch3::bindCache(m, compiler);
}

} // namespace ch14
