//===- draw.cpp - the draw of a token from weights ------------------------===//
//
// A running sum of 50,257 numbers is a chain of additions, each waiting for the
// one before. So the sum is made of blocks, each in eight chains, and only the
// block in which the drawn number lies is gone through one by one:
//
//   weights  |....block 0....|....block 1....|....block 2....|
//   sums                   s0              s1     ^        s2
//                                                 u * s2: block 2, and in it
//
// Sums are float64 and their order depends on the row's length alone.
//
//===----------------------------------------------------------------------===//
#include "ch16/Sampling.h"

#include <algorithm>

static constexpr int64_t kBlock = 256;

/// The high and the low half of a product.
static void multiply(uint64_t a, uint64_t b, uint64_t &high, uint64_t &low) {
  unsigned __int128 product = (unsigned __int128)a * b;
  high = uint64_t(product >> 64);
  low = uint64_t(product);
}

// [uniform]
double ch16::uniform(uint64_t seed, uint64_t position) {
  uint64_t counter[4] = {1, 0, 0, 0}; // NumPy counts up before it draws
  for (int round = 0; round < 10; ++round) {
    uint64_t high0, low0, high1, low1;
    multiply(0xD2E7470EE14C6C93, counter[0], high0, low0);
    multiply(0xCA5A826395121157, counter[2], high1, low1);
    counter[0] = high1 ^ counter[1] ^ seed;
    counter[1] = low1;
    counter[2] = high0 ^ counter[3] ^ position;
    counter[3] = low0;
    seed += 0x9E3779B97F4A7C15;
    position += 0xBB67AE8584CAA73B;
  }
  return double(counter[0] >> 11) * 0x1p-53;
}

// [/uniform]

/// The sum of one block, in eight chains of additions.
static double sum(const float *weights, int64_t size) {
  double chains[8] = {};
  int64_t i = 0;
  for (; i + 8 <= size; i += 8)
    for (int64_t j = 0; j < 8; ++j)
      chains[j] += weights[i + j];
  for (; i < size; ++i)
    chains[i % 8] += weights[i];
  return ((chains[0] + chains[4]) + (chains[2] + chains[6])) +
         ((chains[1] + chains[5]) + (chains[3] + chains[7]));
}

// [sums]
std::vector<double> ch16::sums(const float *weights, int64_t size) {
  std::vector<double> result;
  result.reserve((size + kBlock - 1) / kBlock);
  double total = 0;
  for (int64_t start = 0; start < size; start += kBlock)
    result.push_back(total +=
                     sum(weights + start, std::min(kBlock, size - start)));
  return result;
}

// [/sums]
// [draw]
int64_t ch16::draw(const float *weights, int64_t size, double uniform) {
  const std::vector<double> upTo = sums(weights, size);
  const double target = uniform * upTo.back();
  const int64_t block =
      std::min(int64_t(std::upper_bound(upTo.begin(), upTo.end(), target) -
                       upTo.begin()),
               int64_t(upTo.size()) - 1);

  double running = block ? upTo[block - 1] : 0;
  int64_t index = block * kBlock;
  const int64_t stop = std::min(size, index + kBlock);
  for (; index < stop; ++index)
    if ((running += weights[index]) > target)
      return index;
  // The running sum and the block's own disagree by a rounding about the last.
  do
    --index;
  while (index > 0 && !(weights[index] > 0));
  return index;
}

// [/draw]
