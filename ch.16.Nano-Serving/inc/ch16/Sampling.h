//===- Sampling.h - from a row of logits to a token -------------*- C++ -*-===//
//
//   logits --adjust--> logits --weigh--> weights --draw--> token
//                                                   ^ uniform(seed, position)
//
// Every function takes one row and nothing else, so the others of a batch can
// change no bit of it.
//
//===----------------------------------------------------------------------===//
#ifndef CH16_SAMPLING_H
#define CH16_SAMPLING_H

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace ch16 {

/// A token, and a number that is its own: a logit or a log-probability.
using Scored = std::pair<int64_t, double>;

struct Penalties {
  double repetition = 1; // divides a logit above 0, multiplies the others
  double presence = 0;   // is subtracted
  double frequency = 0;  // is subtracted for each time
};

struct Filters {
  double temperature = 1;
  int64_t topK = 0; // 0: no filter
  double topP = 1;
  double minP = 0;
};

/// What a request asks of one row. Tokens are in [0, size of the row).
struct Wish {
  bool changesLogits = false;          // else the next four are not looked at
  std::vector<int64_t> prompt, output; // the text so far
  Penalties penalties;
  std::vector<Scored> bias;
  Filters filters; // temperature 0: the likeliest token
  uint64_t seed = 0, position = 0;
  int64_t numLogprobs = -1; // of the likeliest; -1: not even the chosen one's
};

//===----------------------------------------------------------------------===//
// adjust.cpp
//===----------------------------------------------------------------------===//

/// The penalties, then the biases, in place.
void adjust(float *logits, int64_t size, const Wish &wish);

//===----------------------------------------------------------------------===//
// weights.cpp
//===----------------------------------------------------------------------===//

/// The first of the largest logits; NaN if any of them is NaN. size > 0.
std::pair<int64_t, float> likeliest(const float *logits, int64_t size);

/// Probabilities times some number, the likeliest has 1: exp of the logits over
/// the temperature, and 0 for what a filter leaves out. `top` is the largest
/// logit, and finite.
void weigh(const float *logits, int64_t size, float top, const Filters &filters,
           float *weights);

/// The logarithm of the sum of exp(logits).
double logSum(const float *logits, int64_t size, float top);

/// The `num` largest logits, largest first; of equal ones, the first.
std::vector<Scored> largest(const float *logits, int64_t size, int64_t num);

//===----------------------------------------------------------------------===//
// draw.cpp
//===----------------------------------------------------------------------===//

/// A number in [0, 1), ch.13's: the first of the generator Philox 4x64 with ten
/// rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)
/// under the key (seed, position). It has no state that another draw could
/// advance.
double uniform(uint64_t seed, uint64_t position);

/// The sums of the weights up to the end of each block of 256; the last is that
/// of all. Their order of additions depends on `size` alone.
std::vector<double> sums(const float *weights, int64_t size);

/// Where the running sum of `size` weights passes `uniform` times their sum:
/// the index of a weight above 0, if there is one.
int64_t draw(const float *weights, int64_t size, double uniform);

//===----------------------------------------------------------------------===//
// choose.cpp
//===----------------------------------------------------------------------===//

struct Chosen {
  std::optional<int64_t> token;      // none if the logits leave none
  float top;                         // the largest logit as it came
  double logprob = 0;                // the token's, of the logits as they came
  std::vector<Scored> logprobs = {}; // the likeliest
};

Chosen choose(const float *logits, int64_t size, const Wish &wish);

} // namespace ch16

#endif // CH16_SAMPLING_H
