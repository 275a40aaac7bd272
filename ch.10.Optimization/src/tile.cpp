//===- tile.cpp - which register tile a machine gets ----------------------===//
#include "ch10/Tile.h"

#include "llvm/TargetParser/Host.h"

namespace ch10 {

// [tiles]
std::optional<Tile> tileOf(int64_t lanes) {
  switch (lanes) {
  case 16:
    return Tile{16, 8, 32,
                "AVX-512: of 32 registers of 16 floats, 16 hold C, 2 a row of "
                "B; A comes from memory with the multiply-add"};
  case 8:
    return Tile{8, 6, 16,
                "AVX2 with FMA: of 16 registers of 8 floats, 12 hold C, 2 a "
                "row of B, 1 an element of A"};
  case 4:
    return Tile{4, 6, 8,
                "no AVX2 with FMA: of 16 registers of 4 floats, 12 hold C; a "
                "multiplication and an addition for each multiply-add"};
  default:
    return std::nullopt;
  }
}

Tile hostTile() {
  static const Tile tile = [] {
    auto features = llvm::sys::getHostCPUFeatures();
    if (features.lookup("avx512f"))
      return *tileOf(16);
    if (features.lookup("avx2") && features.lookup("fma"))
      return *tileOf(8);
    return *tileOf(4);
  }();
  return tile;
}
// [/tiles]

bool hostHasBF16Dot() {
  static const bool has = llvm::sys::getHostCPUFeatures().lookup("avx512bf16");
  return has;
}

} // namespace ch10
