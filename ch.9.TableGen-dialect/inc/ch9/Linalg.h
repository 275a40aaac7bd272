//===- Linalg.h - linalg on tensors, built in a line ----------------------===//
//
// What the lowerings of this and later chapters build their ops from.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include "mlir/Pass/Pass.h"

#include <functional>
#include <memory>

namespace ch9 {

/// Makes the value of one element from the elements of the operands.
using ElementFn = std::function<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                            mlir::ValueRange elements)>;

/// An f32 constant.
mlir::Value constant(mlir::ImplicitLocOpBuilder &b, double value);

/// A tensor of the shape of `like`, with nothing in it yet.
mlir::Value emptyLike(mlir::ImplicitLocOpBuilder &b, mlir::Value like);

/// A tensor of these sizes, every element `value`.
mlir::Value filled(mlir::ImplicitLocOpBuilder &b,
                   llvm::ArrayRef<mlir::OpFoldResult> sizes, double value);

/// One linalg.generic over the elements of operands[0]. Another operand has its
/// shape, or lacks its first axes (a vector laid over all rows), or lacks its
/// last axis (`rowwise` then names it: one number for each row).
mlir::Value elementwise(mlir::ImplicitLocOpBuilder &b,
                        mlir::ValueRange operands, const ElementFn &body,
                        llvm::ArrayRef<unsigned> rowwise = {});

/// One linalg.generic that folds the last axis of `input` into one number for
/// each row: acc = body(element, acc), from `init` on, in the order of the
/// axis.
mlir::Value reduceRows(mlir::ImplicitLocOpBuilder &b, mlir::Value input,
                       double init, const ElementFn &body);

/// softmax of each row: its maximum, exp of the differences, their sum, the
/// quotients. Without the maximum exp(89) is already +inf and the result NaN.
mlir::Value softmax(mlir::ImplicitLocOpBuilder &b, mlir::Value input);

/// Copies between strided buffers become linalg.copy (copies.cpp). `flag`, a
/// literal, is the pass's name on a command line and in stages().
std::unique_ptr<mlir::Pass>
createCopiesToLoopsPass(llvm::StringRef flag = "ch9-copies-to-loops");

} // namespace ch9
