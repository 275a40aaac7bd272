//===- Products.h - what the passes of ch.10 know of a product ------------===//
#pragma once

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <optional>

namespace ch10 {

/// C[m, n] = A[m, k] x B[k, n], or B[n, k] where it is transposed; the sum
/// begins with zeros.
struct Product {
  mlir::Value a, b;
  bool transposed;
  int64_t m, k, n;
};

/// What `op` computes, where that is a product of f32 with fixed sizes.
std::optional<Product> productOf(mlir::linalg::LinalgOp op);

/// `value` in the corner of a tensor of zeros of these sizes.
mlir::Value padded(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                   llvm::ArrayRef<int64_t> sizes);
/// The corner of these sizes.
mlir::Value corner(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                   llvm::ArrayRef<int64_t> sizes);

} // namespace ch10
