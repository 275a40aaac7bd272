//===- choose.cpp - the token that a row of logits and a request make -----===//
//
// Log-probabilities are the model's own: of the logits as they come, whatever
// the request does to them before it draws.
//
//===----------------------------------------------------------------------===//
#include "ch16/Sampling.h"

#include <cmath>
#include <tuple>

using namespace ch16;

// [choose]
Chosen ch16::choose(const float *logits, int64_t size, const Wish &wish) {
  auto [token, top] = likeliest(logits, size);
  if (!std::isfinite(top))
    return {std::nullopt, top};

  const float *row = logits;
  float rowTop = top;
  std::vector<float> changed;
  if (wish.changesLogits) {
    changed.assign(logits, logits + size);
    row = changed.data();
    adjust(changed.data(), size, wish);
    std::tie(token, rowTop) = likeliest(row, size);
    if (!std::isfinite(rowTop))
      return {std::nullopt, top};
  }

  if (wish.filters.temperature > 0) {
    std::vector<float> weights(size);
    weigh(row, size, rowTop, wish.filters, weights.data());
    token = draw(weights.data(), size, uniform(wish.seed, wish.position));
  }
  if (wish.numLogprobs < 0)
    return {token, top};

  const double sum = logSum(logits, size, top);
  Chosen chosen{token, top, logits[token] - sum,
                largest(logits, size, wish.numLogprobs)};
  for (Scored &each : chosen.logprobs)
    each.second -= sum;
  return chosen;
}
// [/choose]
