//===- ops.cpp - the layers of a transformer, as functions of expressions -===//
//
//   transformer_block     x + attention(layer_norm(x)), then y +
//   ffn(layer_norm(y))
//     attention           linear, linear, linear, ch.11's attention, linear
//     ffn                 linear, gelu, linear
//
// Three functions make nodes of this chapter's ops; the others only call
// functions. A composition checks its weights first, under the caller's names.
//
//===----------------------------------------------------------------------===//

#include "ch12/Ops.h"

#include "ch11/Ops.h"

#include <cmath>
#include <stdexcept>

using namespace ch9;
using namespace ch11;

namespace ch12 {

static Shape shapeOf(const Tensor &t) {
  return Shape(t.shape().begin(), t.shape().end());
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

Tensor layerNorm(const Tensor &x, const Tensor &gamma, const Tensor &beta,
                 float epsilon) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  expectShape(gamma, "gamma", {x.shape()[1]});
  expectShape(beta, "beta", {x.shape()[1]});
  if (!(epsilon >= 0) || std::isinf(epsilon))
    throw std::invalid_argument(
        "epsilon: expected a number of 0 or more, got " +
        std::to_string(epsilon));
  return makeNode("transformer.layer_norm", {x, gamma, beta},
                  {{"epsilon", epsilon}}, shapeOf(x));
}

Tensor linear(const Tensor &x, const Tensor &w, const Tensor &b) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  expectShape(w, "w", {ch1::kAnySize, x.shape()[1]});
  expectShape(b, "b", {w.shape()[0]});
  return makeNode("transformer.linear", {x, w, b}, {},
                  {x.shape()[0], w.shape()[0]});
}

Tensor gelu(const Tensor &x) {
  return makeNode("transformer.gelu", {x}, {}, shapeOf(x));
}

//===----------------------------------------------------------------------===//
// Compositions
//===----------------------------------------------------------------------===//

// [ffn]
Tensor ffn(const Tensor &x, const Tensor &w1, const Tensor &b1,
           const Tensor &w2, const Tensor &b2) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  int64_t width = x.shape()[1];
  expectShape(w1, "w1", {ch1::kAnySize, width});
  expectShape(b1, "b1", {w1.shape()[0]});
  expectShape(w2, "w2", {width, w1.shape()[0]});
  expectShape(b2, "b2", {width});
  return linear(gelu(linear(x, w1, b1)), w2, b2);
}
// [/ffn]

// [attention]
Tensor attention(const Tensor &x, const AttentionWeights &w, int64_t numHeads) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  int64_t width = x.shape()[1];
  for (auto [name, matrix] : {std::pair("wq", w.wq), std::pair("wk", w.wk),
                              std::pair("wv", w.wv), std::pair("wo", w.wo)})
    expectShape(matrix, name, {width, width});
  for (auto [name, bias] : {std::pair("bq", w.bq), std::pair("bk", w.bk),
                            std::pair("bv", w.bv), std::pair("bo", w.bo)})
    expectShape(bias, name, {width});
  Tensor q = linear(x, w.wq, w.bq);
  Tensor k = linear(x, w.wk, w.bk);
  Tensor v = linear(x, w.wv, w.bv);
  return linear(ch11::attention(q, k, v, numHeads), w.wo, w.bo);
}
// [/attention]

// [block]
Tensor transformerBlock(const Tensor &x, const BlockWeights &w,
                        int64_t numHeads) {
  expectShape(x, "x", {ch1::kAnySize, ch1::kAnySize});
  for (auto [name, vector] :
       {std::pair("gamma1", w.gamma1), std::pair("beta1", w.beta1),
        std::pair("gamma2", w.gamma2), std::pair("beta2", w.beta2)})
    expectShape(vector, name, {x.shape()[1]});
  Tensor y =
      add(x, attention(layerNorm(x, w.gamma1, w.beta1), w.attention, numHeads));
  return add(y, ffn(layerNorm(y, w.gamma2, w.beta2), w.w1, w.b1, w.w2, w.b2));
}
// [/block]

} // namespace ch12
