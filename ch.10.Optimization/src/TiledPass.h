//===- TiledPass.h - a pass that makes code for a register tile -----------===//
#pragma once

#include "ch10/Tile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ch10 {

/// A module pass with the option `lanes`, this machine's where nothing is said.
template <typename Derived>
struct TiledPass
    : mlir::PassWrapper<Derived, mlir::OperationPass<mlir::ModuleOp>> {
  using Base = mlir::PassWrapper<Derived, mlir::OperationPass<mlir::ModuleOp>>;

  TiledPass(const Tile &tile) { lanes = tile.lanes; }
  TiledPass(const TiledPass &other) : Base(other) { lanes = other.lanes; }

  /// The tile of the option; without one the pass has failed.
  std::optional<Tile> getTile() {
    std::optional<Tile> tile = tileOf(lanes);
    if (!tile) {
      this->getOperation()->emitError("lanes: expected 16, 8 or 4, got ")
          << lanes.getValue();
      this->signalPassFailure();
    }
    return tile;
  }

  mlir::Pass::Option<int64_t> lanes{
      *this, "lanes",
      llvm::cl::desc("floats in a vector, 16, 8 or 4: chooses the tile"),
      llvm::cl::init(hostTile().lanes)};
};

} // namespace ch10
