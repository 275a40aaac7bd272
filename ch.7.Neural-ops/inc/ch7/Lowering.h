// Lowering.h - from linalg on tensors to the llvm dialect.
#pragma once

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"
#include <memory>

namespace ch7 {

/// What a graph's IR is made of, and what the passes below can meet.
void registerDialects(mlir::DialectRegistry &registry);

/// `ch7-generalize-elementwise`: named linalg ops without a reduction become
/// linalg.generic, which is what fusion can join. linalg.fill keeps its name:
/// fusion knows it.
std::unique_ptr<mlir::Pass> createGeneralizeElementwisePass();

/// The passes: with `fuse`, elementwise ops are joined before they get buffers.
void buildLowering(mlir::PassManager &passes, bool fuse);

} // namespace ch7
