//===- reference.cpp - attention in plain C++ -----------------------------===//
//
// No MLIR here: the definition, to compare the compiled function with. Slow on
// purpose, and in double, so that a difference is the compiled function's.
//
//===----------------------------------------------------------------------===//

#include "ch11/Reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

// [reference]
void ch11::attentionReference(const float *q, const float *k, const float *v,
                              float *out, int64_t T, int64_t S, int64_t D,
                              int64_t E, int64_t numHeads, bool causal) {
  int64_t d = D / numHeads, e = E / numHeads;
  std::vector<double> weight(S);
  for (int64_t h = 0; h < numHeads; ++h)
    for (int64_t t = 0; t < T; ++t) {
      int64_t seen = causal ? t + 1 : S; // keys 0 to seen - 1
      double max = -INFINITY, sum = 0;
      for (int64_t s = 0; s < seen; ++s) {
        double score = 0;
        for (int64_t i = h * d; i < (h + 1) * d; ++i)
          score += double(q[t * D + i]) * k[s * D + i];
        weight[s] = score / std::sqrt(double(d));
        // Not std::max: a NaN must stay.
        max = weight[s] > max || std::isnan(weight[s]) ? weight[s] : max;
      }
      for (int64_t s = 0; s < seen; ++s)
        sum += weight[s] = std::exp(weight[s] - max);
      for (int64_t j = h * e; j < (h + 1) * e; ++j) {
        double mean = 0;
        for (int64_t s = 0; s < seen; ++s)
          mean += weight[s] / sum * v[s * E + j];
        out[t * E + j] = mean;
      }
    }
}
// [/reference]
