//===- Draw.h - the draw of a token from weights ----------------*- C++ -*-===//
//
// uniform(seed, position) is ch.13's: the first number of the generator
// Philox 4x64 with ten rounds (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", 2011) under the key (seed, position). It has no state that
// another draw could advance.
//
//===----------------------------------------------------------------------===//
#ifndef CH16_DRAW_H
#define CH16_DRAW_H

#include <cstdint>
#include <vector>

#include <pybind11/pybind11.h>

namespace ch16 {

/// A number in [0, 1).
double uniform(uint64_t seed, uint64_t position);

/// The sums of the weights up to the end of each block of 256; the last is that
/// of all. Their order of additions depends on `size` alone.
std::vector<double> sums(const float *weights, int64_t size);

/// Where the running sum of `size` weights passes `uniform` times their sum:
/// the index of a weight above 0, if there is one.
int64_t draw(const float *weights, int64_t size, double uniform);

void bindDraw(pybind11::module_ &m);

} // namespace ch16

#endif // CH16_DRAW_H
