//===- Ops.h - the ops of nn, as functions of expressions -----------------===//
//
// Each checks its operands (std::invalid_argument: a ValueError in Python, with
// the argument's name) and returns a node. Nothing is computed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch9/Graph.h"

#include <optional>

namespace ch9 {

/// b has a's shape, or is a vector as long as a's last axis: added to every
/// row.
Tensor add(const Tensor &a, const Tensor &b);
Tensor mul(const Tensor &a, const Tensor &b);
/// [M, K] x [K, N] -> [M, N]
Tensor matmul(const Tensor &a, const Tensor &b);
/// [M, N] -> [N, M]
Tensor transpose(const Tensor &x);
Tensor relu(const Tensor &x);
/// Over the last axis.
Tensor softmax(const Tensor &x);
/// x [M, in], w [out, in], b [out] -> [M, out]: x @ w.T + b
Tensor linear(const Tensor &x, const Tensor &w, const std::optional<Tensor> &b);

} // namespace ch9
