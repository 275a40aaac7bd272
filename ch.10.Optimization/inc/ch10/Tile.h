//===- Tile.h - which register tile a machine gets ------------------------===//
#pragma once

#include <cstdint>
#include <optional>

namespace ch10 {

/// What the kernel keeps in registers: `rows` x `columns` numbers of C, in
/// vectors of `lanes`. `columns` is two vectors: what is loaded of B in a step.
struct Tile {
  int64_t lanes;
  int64_t rows;
  int64_t columns;
  const char *reason;
};

/// The tile for vectors of 16, 8 or 4 floats; none for another number. Every
/// tile computes right on every machine (LLVM splits what is too wide), and
/// fast on its own.
std::optional<Tile> tileOf(int64_t lanes);

/// Asks the processor and chooses.
Tile hostTile();

/// Whether the processor multiplies pairs of bfloat16 (AVX512-BF16).
bool hostHasBF16Dot();

} // namespace ch10
