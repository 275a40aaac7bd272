//===- Passes.h - the passes of ch.10 -------------------------------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

#include <memory>
#include <string>
#include <vector>

namespace ch10 {

/// A register tile: so many rows of A by so many columns of B.
struct Tile {
  int64_t rows, columns;
};

/// ch10-products: every product becomes a linalg.matmul; a nn.linear's weight
/// is transposed before it.
std::unique_ptr<mlir::Pass> createProductsPass();
/// ch10-pad: operands of products are filled up with zeros until the tile and 4
/// steps of k divide them.
std::unique_ptr<mlir::Pass> createPadPass();
/// ch10-pack: products become products of panels, filled up with zeros where a
/// shape is no multiple of the tile; elementwise ops behind them move to the
/// same shape.
std::unique_ptr<mlir::Pass> createPackPass();
/// ch10-schedule: puts the schedule of that name (schedules/NAME.mlir) into the
/// module, for transform-interpreter; ch10-drop-schedule takes it out again.
std::unique_ptr<mlir::Pass> createSchedulePass(llvm::StringRef name);
std::unique_ptr<mlir::Pass> createDropSchedulePass();

/// A rung of the ladder.
struct Pipeline {
  const char *name;
  const char *idea;
  void (*build)(mlir::OpPassManager &);
};

/// The ladder, from "baseline" to "optimized".
llvm::ArrayRef<Pipeline> pipelines();

/// The dialects that the pipelines read and make.
void registerDialects(mlir::DialectRegistry &registry);
void registerPasses();

} // namespace ch10
