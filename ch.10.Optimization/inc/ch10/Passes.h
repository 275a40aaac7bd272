//===- Passes.h - the passes of ch.10 -------------------------------------===//
#pragma once

#include "ch10/Tile.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

#include <memory>
#include <string>
#include <vector>

namespace ch10 {

/// What code is made for.
struct Target {
  Tile tile;
  bool dot;     // pairs of bfloat16 are multiplied by AVX512-BF16
  bool threads; // parallel loops become OpenMP's
};
/// This machine, one thread.
Target hostTarget();

/// ch10-products: every product becomes a linalg.matmul; a nn.linear's weight
/// is transposed before it.
std::unique_ptr<mlir::Pass> createProductsPass();
/// ch10-pad: operands of products are filled up with zeros until the tile and 4
/// steps of k divide them; columns until `block` does, where that is not 0.
std::unique_ptr<mlir::Pass> createPadPass(const Tile &tile, int64_t block = 0);
/// ch10-pack: products become products of panels, filled up with zeros where a
/// shape is no multiple of the tile; elementwise ops behind them move to the
/// same shape.
std::unique_ptr<mlir::Pass> createPackPass(const Tile &tile, bool packB = true);
/// ch10-kernel: products, and elementwise ops behind them, become loops over
/// register tiles; constants get an order of their own.
std::unique_ptr<mlir::Pass> createKernelPass(const Target &target);
/// ch10-schedule: puts the schedule of that name (schedules/NAME.mlir) into the
/// module, for transform-interpreter, with the sizes of the tile in it;
/// ch10-drop-schedule takes it out again.
std::unique_ptr<mlir::Pass> createSchedulePass(llvm::StringRef name,
                                               const Tile &tile);
std::unique_ptr<mlir::Pass> createDropSchedulePass();

/// A rung of the ladder.
struct Pipeline {
  const char *name;
  const char *idea;
  void (*build)(mlir::OpPassManager &, const Target &);
};

/// The ladder, from "baseline" to "optimized".
llvm::ArrayRef<Pipeline> pipelines();

/// The dialects that the pipelines read and make.
void registerDialects(mlir::DialectRegistry &registry);
void registerPasses();

} // namespace ch10
