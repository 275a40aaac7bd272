//===- adjust.cpp - what a request does to the logits of tokens -----------===//
//
// Presence and frequency penalties are OpenAI's and look at the answer;
// repetition is that of CTRL (Keskar et al., 2019) and looks at the prompt as
// well. A bias of -inf rules a token out.
//
//===----------------------------------------------------------------------===//
#include "ch16/Sampling.h"

using namespace ch16;

// [adjust]
/// Divides or multiplies each token's logit once, however often it is there.
static void penalizeRepetition(float *logits, int64_t size, const Wish &wish) {
  const double penalty = wish.penalties.repetition;
  std::vector<bool> done(size);
  for (const std::vector<int64_t> *tokens : {&wish.prompt, &wish.output})
    for (int64_t token : *tokens) {
      if (done[token])
        continue;
      done[token] = true;
      const double logit = logits[token];
      logits[token] = float(logit > 0 ? logit / penalty : logit * penalty);
    }
}

static void penalizePresence(float *logits, int64_t size, const Wish &wish) {
  std::vector<int32_t> times(size); // how often each has been written
  for (int64_t token : wish.output)
    ++times[token];
  for (int64_t token : wish.output)
    if (int32_t num = std::exchange(times[token], 0))
      logits[token] = float(logits[token] - wish.penalties.presence -
                            wish.penalties.frequency * num);
}

void ch16::adjust(float *logits, int64_t size, const Wish &wish) {
  if (wish.penalties.repetition != 1)
    penalizeRepetition(logits, size, wish);
  if (wish.penalties.presence != 0 || wish.penalties.frequency != 0)
    penalizePresence(logits, size, wish);
  for (auto [token, bias] : wish.bias)
    logits[token] = float(logits[token] + bias);
}
// [/adjust]
