//===- ops.cpp - the ops of this chapter, as functions of expressions -----===//
//
//   embedding, columns, causalMask, maskedSoftmax, rope    one op each
//   gptAttention, gptBlock, gptForward                     built from ops
//
// The last three are no ops of the dialect: a GPT block is the block of ch.12
// with a causal attention that knows positions.
//
//===----------------------------------------------------------------------===//

#include "ch13/Ops.h"
#include "ch11/Ops.h"
#include "ch12/Ops.h"

#include <cmath>
#include <stdexcept>

using ch9::expectShape;
using llvm::ArrayRef;

namespace ch13 {

static std::string number(int64_t n) { return std::to_string(n); }

// [embedding]
Tensor embedding(const Tensor &ids, const Tensor &table) {
  expectShape(ids, "ids", {ch1::kAnySize});
  expectShape(table, "table", {ch1::kAnySize, ch1::kAnySize});
  int64_t rows = table.shape()[0];
  auto values = ids->data.unchecked<int32_t, 1>();
  for (pybind11::ssize_t t = 0; t < values.shape(0); ++t)
    if (values(t) < 0 || values(t) >= rows)
      throw std::invalid_argument(
          "ids: expected ids from 0 to " + number(rows - 1) +
          ", the rows of table, got " + number(values(t)) + " at position " +
          number(t));
  return ch9::makeNode("transformer.embedding", {table, ids}, {},
                       {ids.shape()[0], table.shape()[1]});
}
// [/embedding]

Tensor columns(const Tensor &t, int64_t first, int64_t count) {
  expectShape(t, "t", {ch1::kAnySize, ch1::kAnySize});
  int64_t width = t.shape()[1];
  if (first < 0 || first > width)
    throw std::invalid_argument("first: expected 0 to " + number(width) +
                                ", got " + number(first));
  if (count < 1 || count > width - first)
    throw std::invalid_argument("count: expected 1 to " +
                                number(width - first) + ", got " +
                                number(count));
  return ch9::makeNode("transformer.columns", {t},
                       {{"first", first}, {"count", count}},
                       {t.shape()[0], count});
}

Tensor causalMask(int64_t size) {
  if (size < 0)
    throw std::invalid_argument("T: expected at least 0, got " + number(size));
  return ch9::makeNode("transformer.causal_mask", {}, {}, {size, size});
}

Tensor maskedSoftmax(const Tensor &x, const Tensor &mask) {
  if (x.rank() != 2 && x.rank() != 3)
    throw std::invalid_argument("x: expected rank 2 or 3, got shape " +
                                ch1::shapeText(x.shape()));
  expectShape(mask, "mask", x.shape().take_back(2));
  return ch9::makeNode("transformer.masked_softmax", {x, mask}, {},
                       ch9::Shape(x.shape().begin(), x.shape().end()));
}

Tensor rope(const Tensor &x, float base, int64_t numHeads, int64_t first) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  if (numHeads < 1)
    throw std::invalid_argument("num_heads: expected at least 1, got " +
                                number(numHeads));
  int64_t width = x.shape()[1];
  if (numHeads > width / 2 || width % (2 * numHeads) != 0)
    throw std::invalid_argument(
        "x: expected an even number of columns for each of num_heads = " +
        number(numHeads) + " heads, got shape " + ch1::shapeText(x.shape()));
  if (!std::isfinite(base) || base <= 0)
    throw std::invalid_argument("base: expected a positive number, got " +
                                std::to_string(base));
  ch9::Attributes attributes = {{"num_heads", numHeads}, {"base", base}};
  if (first)
    attributes.push_back({"first", first});
  return ch9::makeNode("transformer.rope", {x}, attributes,
                       ch9::Shape(x.shape().begin(), x.shape().end()));
}

//===----------------------------------------------------------------------===//
// A GPT, built from ops
//===----------------------------------------------------------------------===//

// [gpt-attention]
Tensor gptAttention(const Tensor &x, const AttentionWeights &w,
                    int64_t numHeads) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  int64_t width = x.shape()[1];
  for (auto [name, matrix] : {std::pair("wq", w.wq), std::pair("wk", w.wk),
                              std::pair("wv", w.wv), std::pair("wo", w.wo)})
    expectShape(matrix, name, {width, width});
  for (auto [name, bias] : {std::pair("bq", w.bq), std::pair("bk", w.bk),
                            std::pair("bv", w.bv), std::pair("bo", w.bo)})
    expectShape(bias, name, {width});

  Tensor q = rope(ch12::linear(x, w.wq, w.bq), kRopeBase, numHeads);
  Tensor k = rope(ch12::linear(x, w.wk, w.bk), kRopeBase, numHeads);
  Tensor v = ch12::linear(x, w.wv, w.bv);
  Tensor mixed = ch11::attention(q, k, v, numHeads, /*causal=*/true);
  return ch12::linear(mixed, w.wo, w.bo);
}
// [/gpt-attention]

// [gpt-block]
Tensor gptBlock(const Tensor &x, const BlockWeights &w, int64_t numHeads) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  for (auto [name, vector] :
       {std::pair("gamma1", w.gamma1), std::pair("beta1", w.beta1),
        std::pair("gamma2", w.gamma2), std::pair("beta2", w.beta2)})
    expectShape(vector, name, {x.shape()[1]});
  Tensor normed = ch12::layerNorm(x, w.gamma1, w.beta1);
  Tensor y = ch11::add(x, gptAttention(normed, w.attention, numHeads));
  return ch11::add(y, ch12::ffn(ch12::layerNorm(y, w.gamma2, w.beta2), w.w1,
                                w.b1, w.w2, w.b2));
}
// [/gpt-block]

Tensor gptForward(const Tensor &ids, const Tensor &table,
                  ArrayRef<BlockWeights> layers, const Tensor &finalGamma,
                  const Tensor &finalBeta, int64_t numHeads) {
  Tensor x = embedding(ids, table);
  expectShape(finalGamma, "final_gamma", {x.shape()[1]});
  expectShape(finalBeta, "final_beta", {x.shape()[1]});
  for (size_t i = 0; i < layers.size(); ++i) {
    try {
      x = gptBlock(x, layers[i], numHeads);
    } catch (const std::invalid_argument &error) {
      throw std::invalid_argument("layer " + number(i) + ": " + error.what());
    }
  }
  return ch12::layerNorm(x, finalGamma, finalBeta);
}

} // namespace ch13
