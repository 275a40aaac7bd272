// CachedForward.h - ch.13's GPT with a cache made of values: simple, and the
// reason for the paged one.
#pragma once

#include "ch13/Ops.h"

namespace ch14 {

using ch9::Tensor;

/// The keys and values of the tokens so far, [P, D] for each layer.
struct Cache {
  std::vector<Tensor> keys, values;
};

/// Hidden states of `ids`, which stand after the tokens of `cache`; adds theirs
/// to it. An empty cache makes it a prefill.
Tensor cachedForward(const Tensor &ids, const Tensor &table,
                     llvm::ArrayRef<ch13::BlockWeights> layers,
                     const Tensor &finalGamma, const Tensor &finalBeta,
                     int64_t numHeads, Cache &cache);

/// Adds gpt_forward_prefill, gpt_forward_decode and cache_info to a module.
void bindCachedForward(pybind11::module_ &m);

} // namespace ch14
