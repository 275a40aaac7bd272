//===- Products.h - what the passes of ch.10 know of a product ------------===//
#pragma once

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
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

/// What `op` computes, where that is a product of f32 with fixed sizes; only
/// the number of rows, m, may be unknown (ShapedType::kDynamic).
std::optional<Product> productOf(mlir::linalg::LinalgOp op);

/// All products of a module, in order. Fails with a diagnostic where the number
/// of rows of one is unknown.
llvm::LogicalResult
findProducts(mlir::ModuleOp module,
             llvm::SmallVectorImpl<mlir::linalg::LinalgOp> &found);

/// `value` in the corner of a tensor of zeros of these sizes.
mlir::Value padded(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                   llvm::ArrayRef<int64_t> sizes);
/// The corner of these sizes.
mlir::Value corner(mlir::ImplicitLocOpBuilder &b, mlir::Value value,
                   llvm::ArrayRef<int64_t> sizes);

} // namespace ch10
