//===- Ops.h - the ops of this chapter, as functions of expressions -------===//
//
// Each checks its operands (std::invalid_argument: a ValueError in Python, with
// the argument's name) and returns a node. Nothing is computed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch12/Ops.h"

namespace ch13 {

using ch9::Tensor;

/// ids [T] i32, a leaf; table [V, D] -> [T, D]. Every id is checked here, for
/// the compiled code does not.
Tensor embedding(const Tensor &ids, const Tensor &table);
/// Columns `first` to `first + count - 1` of t [T, D].
Tensor columns(const Tensor &t, int64_t first, int64_t count);
/// [size, size]: 0 on and below the diagonal, -inf above.
Tensor causalMask(int64_t size);
/// softmax(x + mask) over the last axis; x [T, S] or [H, T, S], mask [T, S].
Tensor maskedSoftmax(const Tensor &x, const Tensor &mask);
/// Turns the pairs (2i, 2i + 1) of each head of x [T, D] by their position; the
/// first row stands at position `first`.
inline constexpr float kRopeBase = 10000.0f;
Tensor rope(const Tensor &x, float base = kRopeBase, int64_t numHeads = 1,
            int64_t first = 0);

// The weights of a block are those of ch.12.
using ch12::AttentionWeights;
using ch12::BlockWeights;

/// Causal attention of x [T, D] with itself, positions by rope.
Tensor gptAttention(const Tensor &x, const AttentionWeights &w,
                    int64_t numHeads = 1);
/// One pre-norm layer: x + attention(norm(x)), then + ffn(norm(.)).
Tensor gptBlock(const Tensor &x, const BlockWeights &w, int64_t numHeads = 1);
/// ids -> embedding -> blocks -> norm: hidden states [T, D].
Tensor gptForward(const Tensor &ids, const Tensor &table,
                  llvm::ArrayRef<BlockWeights> layers, const Tensor &finalGamma,
                  const Tensor &finalBeta, int64_t numHeads = 1);

} // namespace ch13
