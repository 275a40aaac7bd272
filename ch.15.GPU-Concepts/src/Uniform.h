//===- Uniform.h - which values are the same for all threads of a block ---===//
#pragma once

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include "llvm/ADT/DenseMap.h"

#include <array>

namespace ch15 {

/// Where a kernel's ids and sizes come from: along x, y, z.
struct Ids {
  std::array<mlir::Value, 3> thread, block, blockDim, gridDim;
};

/// Makes arguments of the kernel's ids: wherever one was asked for, the
/// argument is used instead.
Ids makeIdsArguments(mlir::gpu::GPUFuncOp kernel);

/// Answers for the values of one kernel, whose ids are arguments.
class Uniform {
public:
  explicit Uniform(const Ids &ids) : ids(ids) {}

  /// Says that an argument of the kernel is not the same for all threads.
  void setDifferent(mlir::Value argument) { known[argument] = false; }

  /// Whether the value is certainly the same for all threads of a block.
  bool isUniform(mlir::Value value);

  /// Whether it is enough to execute the operation once for each block: it
  /// makes values that are the same for all threads, and does nothing else.
  bool isOnce(mlir::Operation *op);

  /// An error about `op`, with a note where `value` becomes different.
  mlir::LogicalResult refuse(mlir::Operation *op, mlir::Value value,
                             llvm::StringRef what);

private:
  Ids ids;
  llvm::DenseMap<mlir::Value, bool> known;
};

} // namespace ch15
