//===- Ops.h - the layers of a transformer, as functions of expressions ---===//
#pragma once

#include "ch9/Graph.h"

namespace ch12 {

using ch9::Tensor;

//===--- Ops --------------------------------------------------------------===//

/// x [T, D], gamma [D], beta [D] -> [T, D]
Tensor layerNorm(const Tensor &x, const Tensor &gamma, const Tensor &beta,
                 float epsilon = 1e-5f);
/// x [T, in], w [out, in], b [out] -> [T, out]
Tensor linear(const Tensor &x, const Tensor &w, const Tensor &b);
Tensor gelu(const Tensor &x);

//===--- Compositions -----------------------------------------------------===//

/// x [T, D], w1 [F, D], b1 [F], w2 [D, F], b2 [D] -> [T, D]
Tensor ffn(const Tensor &x, const Tensor &w1, const Tensor &b1,
           const Tensor &w2, const Tensor &b2);

struct AttentionWeights {
  Tensor wq, bq, wk, bk, wv, bv, wo, bo; // [D, D] and [D]
};

/// x [T, D] -> [T, D]: q, k and v are made from x, and the heads are mixed.
Tensor attention(const Tensor &x, const AttentionWeights &weights,
                 int64_t numHeads);

/// The arrays of one block, in the order of API and tests.
struct BlockWeights {
  AttentionWeights attention;
  Tensor gamma1, beta1, w1, b1, w2, b2, gamma2, beta2;
};
inline constexpr size_t kArraysPerBlock = 16;

/// x + attention(norm(x)), and then y + ffn(norm(y)).
Tensor transformerBlock(const Tensor &x, const BlockWeights &weights,
                        int64_t numHeads);

} // namespace ch12
