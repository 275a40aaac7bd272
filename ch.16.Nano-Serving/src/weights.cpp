//===- weights.cpp - a row of logits becomes weights ----------------------===//
//
//   logits   1.0   3.0   2.0  -1.0      temperature 1
//   exp     0.14  1.00  0.37  0.02      of the distance from the largest
//   top_k 3 0.14  1.00  0.37  0         from the 3rd largest logit on
//   top_p   0     1.00  0.37  0         the largest, up to a part of the sum
//
// What a filter leaves out gets weight 0 and stays in its place, so that a row
// is always added up in the same order. Nothing is sorted.
//
//===----------------------------------------------------------------------===//
#include "ch16/Sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

using namespace ch16;

static uint32_t toBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float fromBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

std::pair<int64_t, float> ch16::likeliest(const float *logits, int64_t size) {
  constexpr int64_t lanes = 16; // side by side, so that none waits for another
  float tops[lanes];
  uint32_t nans[lanes] = {};
  std::fill_n(tops, lanes, logits[0]);
  auto look = [&](float x, int64_t lane) {
    tops[lane] = x > tops[lane] ? x : tops[lane];
    nans[lane] |= x != x;
  };
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      look(logits[i + lane], lane);
  for (; i < size; ++i)
    look(logits[i], i % lanes);
  if (std::any_of(nans, nans + lanes, [](uint32_t nan) { return nan; }))
    return {0, std::numeric_limits<float>::quiet_NaN()};
  const float top = *std::max_element(tops, tops + lanes);
  return {std::find(logits, logits + size, top) - logits, top};
}

// [exp]
/// exp(x) for x <= 0, within 2e-7 of it; 0 where it is below 1.7e-38. No
/// branch and no call: a loop over it becomes vector instructions.
static inline float expNonPositive(float x) {
  // x = n ln 2 + r with |r| <= ln 2 / 2. At this magnitude a float has no
  // fraction, so adding rounds to n, and n is in the last bits.
  const float shifted = x * 1.442695041f + 12582912.0f; // 1.5 * 2^23
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; // ln 2 in two
  float series = 1.0f / 5040; // Taylor's: the next term is below 6e-9
  for (float factor :
       {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    series = series * r + factor;
  const float scaled = fromBits(toBits(series) + (toBits(shifted) << 23));
  return x < -87 ? 0 : scaled;
}
// [/exp]

/// weights = exp((logits - top) / temperature)
static void exponentiate(const float *logits, int64_t size, float top,
                         double temperature, float *weights) {
  const float divisor =
      float(std::clamp<double>(temperature, std::numeric_limits<float>::min(),
                               std::numeric_limits<float>::max()));
  for (int64_t i = 0; i < size; ++i)
    weights[i] = expNonPositive((logits[i] - top) / divisor);
}

//===----------------------------------------------------------------------===//
// Filters
//===----------------------------------------------------------------------===//

// [kth]
/// The k-th largest of `values`, which are at least k and get mixed up.
static float kthOf(std::vector<float> &values, int64_t k) {
  auto kth = values.begin() + (k - 1);
  std::nth_element(values.begin(), kth, values.end(), std::greater<float>());
  return *kth;
}

/// The k-th largest logit. 0 < k <= size
///
/// Of 2k groups the largest logits: the k-th of these 2k is a logit that k
/// logits reach, and few others do. So only few are compared with each other.
static float kthLargest(const float *logits, int64_t size, int64_t k) {
  const int64_t groups = std::min(2 * k, size);
  std::vector<float> found(logits, logits + groups);
  for (int64_t start = groups; start < size; start += groups)
    for (int64_t g = 0; g < std::min(groups, size - start); ++g)
      found[g] = std::max(found[g], logits[start + g]);
  const float reached = kthOf(found, k);

  found.clear();
  for (int64_t i = 0; i < size; ++i)
    if (logits[i] >= reached)
      found.push_back(logits[i]);
  return kthOf(found, k);
}
// [/kth]

/// Leaves the k likeliest, and those equal to the last of them: no order among
/// equals is made up.
static void filterTopK(const float *logits, int64_t size, int64_t k,
                       float *weights) {
  const float smallest = kthLargest(logits, size, k);
  for (int64_t i = 0; i < size; ++i)
    weights[i] = logits[i] >= smallest ? weights[i] : 0;
}

namespace {
struct Border {
  float smallest;   // what is larger is kept,
  int64_t numEqual; // and so many of those equal to it, at least one
};
} // namespace

// [border]
/// From the largest weight on: where does their sum reach `target`?
///
/// The bits of a float above 0 are a number in the same order, and up to 1 it
/// has thirty bits: three digits of ten. For the first digit, what each of its
/// values adds is summed; the value at which the sum gets to the target is the
/// border's, and only weights that have it matter for the next digit.
static Border border(const float *weights, int64_t size, double target) {
  std::vector<uint32_t> keys(size);
  size_t num = 0;
  for (int64_t i = 0; i < size; ++i) { // no branch: half of them may be kept
    keys[num] = toBits(weights[i]);
    num += weights[i] > 0;
  }
  double above = 0; // the sum of all that are larger than any of the keys
  for (int shift = 20; shift >= 0 && num > 1; shift -= 10) {
    keys.resize(num);
    auto digit = [shift](uint32_t key) { return (key >> shift) & 1023; };
    double added[1024] = {};
    for (uint32_t key : keys)
      added[digit(key)] += fromBits(key);

    uint32_t found = 1024;
    for (uint32_t d = 1024; d-- > 0;) {
      if (added[d] == 0)
        continue;
      if (found < 1024)
        above += added[found];
      found = d; // or the smallest there is, if a rounding hides the target
      if (above + added[d] >= target)
        break;
    }
    num = 0;
    for (uint32_t key : keys) {
      keys[num] = key;
      num += digit(key) == found;
    }
  }
  const float smallest = fromBits(keys.front());
  const double numEqual = std::ceil((target - above) / smallest);
  return {smallest, int64_t(std::clamp(numEqual, 1.0, double(num)))};
}
// [/border]

// [nucleus]
/// Leaves the largest that make up `topP` of the sum; of equal ones, the first.
static void filterTopP(float *weights, int64_t size, double topP) {
  auto [smallest, numEqual] =
      border(weights, size, topP * sums(weights, size).back());
  for (int64_t i = 0; i < size; ++i)
    if (weights[i] < smallest || (weights[i] == smallest && --numEqual < 0))
      weights[i] = 0;
}
// [/nucleus]

// [weigh]
void ch16::weigh(const float *logits, int64_t size, float top,
                 const Filters &filters, float *weights) {
  exponentiate(logits, size, top, filters.temperature, weights);
  if (filters.topK && filters.topK < size)
    filterTopK(logits, size, filters.topK, weights);
  if (filters.topP < 1)
    filterTopP(weights, size, filters.topP);
  if (filters.minP > 0)
    for (int64_t i = 0; i < size; ++i)
      weights[i] = weights[i] >= filters.minP ? weights[i] : 0;
}
// [/weigh]

//===----------------------------------------------------------------------===//
// Log-probabilities
//===----------------------------------------------------------------------===//

double ch16::logSum(const float *logits, int64_t size, float top) {
  std::vector<float> weights(size);
  exponentiate(logits, size, top, 1, weights.data());
  return top + std::log(sums(weights.data(), size).back());
}

std::vector<Scored> ch16::largest(const float *logits, int64_t size,
                                  int64_t num) {
  std::vector<Scored> found;
  num = std::min(num, size);
  if (num == 0)
    return found;
  const float smallest = kthLargest(logits, size, num);
  for (int64_t i = 0; i < size; ++i)
    if (logits[i] >= smallest)
      found.emplace_back(i, logits[i]);
  std::sort(found.begin(), found.end(), [](Scored a, Scored b) {
    return std::pair(-a.second, a.first) < std::pair(-b.second, b.first);
  });
  found.resize(num);
  return found;
}
