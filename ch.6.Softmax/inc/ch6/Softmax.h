// Softmax.h - this chapter's four functions and the three ways down from exp.
#pragma once

#include "ch1/Pipeline.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"

#include <cstdint>
#include <string>

namespace ch6 {

/// How math.exp becomes something that a processor can do.
enum class Lowering { LLVM, Libm, Polynomial };

/// "llvm", "libm" or "polynomial". Throws std::invalid_argument, in Python a
/// ValueError, for any other text.
Lowering parseLowering(const std::string &text);

/// Lanes of the vectors that softmax computes with and carries from turn to
/// turn. The order of every sum follows from it and from nothing else.
inline constexpr int64_t kLanes = 16;

/// The dialects of this chapter (ir.cpp).
void registerDialects(mlir::DialectRegistry &registry);

/// The type of each function: (X [rows, n], any strides; Y [rows, n]) ->
/// nothing, Y is written into.
mlir::FunctionType kernelType(mlir::MLIRContext *context);

/// The module with the function @`name` (ir.cpp):
///   exp             every element, no carried value
///   naive_softmax   exp and sum, normalize; overflows above 88
///   scalar_softmax  max, exp and sum, normalize, one element at a time
///   softmax         the same, with a vector as carried value
/// Throws std::invalid_argument for another name.
mlir::OwningOpRef<mlir::ModuleOp> buildKernel(mlir::MLIRContext *context,
                                              const std::string &name);

/// Throws std::invalid_argument unless there is a function of that name.
void checkKernel(const std::string &name);

/// The passes to the llvm dialect (lowering.cpp).
void buildLowering(mlir::PassManager &passes, Lowering lowering);

} // namespace ch6
