// Arithmetic.h - how the products of a linear layer are computed, for each pair
// of element types.
#pragma once

#include "ch14/Kernels.h"
#include "ch14/StepOps.h"

namespace ch14 {

/// One step of the sum over k: `x` is one row's factor for all lanes, `w` a
/// vector of weights, and acc one number a lane.
///
///   f32 by f32 or bf16   one k a step     acc = fma(x, w, acc)
///   bf16 by bf16         two k a step     the processor's bf16 dot
///   i16 by i8            two k a step     integers, exact
///
/// Every number of rows is computed by the same steps in the same order.
class Arithmetic {
public:
  Arithmetic(KernelBuilder &b, transformer::RowsLinearOp op) : b(b), op(op) {}

  /// Steps of the whole sum.
  int64_t steps();
  mlir::Type sumType(); // f32 or i32
  mlir::Value zero();
  /// The weights of `lanes` columns from `column` (within the panel) on.
  mlir::Value weights(mlir::Value panel, mlir::Value step, int64_t column);
  mlir::Value row(mlir::Value row, mlir::Value step);
  mlir::Value multiplyAdd(mlir::Value x, mlir::Value w, mlir::Value acc);
  /// The sum as f32, with scales applied.
  mlir::Value finish(mlir::Value acc, mlir::Value row, mlir::Value column);

private:
  bool integers();
  KernelBuilder &b;
  transformer::RowsLinearOp op;
};

} // namespace ch14
