//===- Ops.h - the ops of this chapter, as functions of expressions -------===//
//
// Each checks its operands (std::invalid_argument: a ValueError in Python, with
// the argument's name) and returns a node. Nothing is computed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch9/Graph.h"

namespace ch11 {

using ch9::Tensor;

/// b has a's shape, or is a vector as long as a's last axis: added to every
/// row.
Tensor add(const Tensor &a, const Tensor &b);
Tensor mul(const Tensor &a, const Tensor &b);
Tensor scale(const Tensor &t, float factor);
/// [M, K] x [K, N] -> [M, N], or the same for each of H pairs.
Tensor matmul(const Tensor &a, const Tensor &b);
/// Swaps the last two axes.
Tensor transpose(const Tensor &t);
/// Over the last axis.
Tensor softmax(const Tensor &t);
/// q [T, D], k [S, D], v [S, E] -> [T, E]; heads are groups of columns. With
/// causal, S is past + T: `past` tokens stand before the queries.
Tensor attention(const Tensor &q, const Tensor &k, const Tensor &v,
                 int64_t numHeads = 1, bool causal = false, int64_t past = 0);

} // namespace ch11
