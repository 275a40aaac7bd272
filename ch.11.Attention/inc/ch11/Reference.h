//===- Reference.h - attention in plain C++ -------------------------------===//
#pragma once

#include <cstdint>

namespace ch11 {

/// What transformer.attention means, written as loops over row-major arrays,
/// with sums in double: q [T, D], k [S, D], v [S, E] -> out [T, E]. For
/// validation.
void attentionReference(const float *q, const float *k, const float *v,
                        float *out, int64_t T, int64_t S, int64_t D, int64_t E,
                        int64_t numHeads, bool causal);

} // namespace ch11
