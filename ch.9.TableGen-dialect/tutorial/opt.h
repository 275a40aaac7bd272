//===- opt.h - what a step's tool asks of the step ------------------------===//
#pragma once

namespace mlir {
class DialectRegistry;
}

/// Adds the step's dialect, and makes its passes known by name.
void registerNN(mlir::DialectRegistry &registry);
