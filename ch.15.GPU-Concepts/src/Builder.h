//===- Builder.h - what the kernels' builders say again and again ---------===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/ArrayRef.h"

namespace ch15 {

using Body = llvm::function_ref<void(mlir::ImplicitLocOpBuilder &)>;
using Fold = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &,
                                            mlir::Value, mlir::Value)>;

/// The memory that the threads of a block share.
mlir::Attribute workgroup(mlir::MLIRContext *context);

/// An index.
mlir::Value index(mlir::ImplicitLocOpBuilder &b, int64_t value);
mlir::Value add(mlir::ImplicitLocOpBuilder &b, mlir::Value l, mlir::Value r);
mlir::Value mul(mlir::ImplicitLocOpBuilder &b, mlir::Value l, mlir::Value r);
mlir::Value less(mlir::ImplicitLocOpBuilder &b, mlir::Value l, mlir::Value r);
/// (size + parts - 1) / parts
mlir::Value ceilDiv(mlir::ImplicitLocOpBuilder &b, mlir::Value size,
                    int64_t parts);

/// if (condition) { then }
void ifThen(mlir::ImplicitLocOpBuilder &b, mlir::Value condition, Body then);
/// for (i = from; i < to; i += step) carried = body(i, carried); the last one.
mlir::Value fold(mlir::ImplicitLocOpBuilder &b, mlir::Value from,
                 mlir::Value to, mlir::Value step, mlir::Value init, Fold body);

/// A module with a host function @name and a kernel @kernels::@name.
struct KernelModule {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp host;
  mlir::gpu::GPUFuncOp kernel;

  /// `shared`: types of the memory that a block of the kernel has.
  KernelModule(mlir::ImplicitLocOpBuilder &b, llvm::StringRef name,
               mlir::FunctionType hostType, mlir::FunctionType kernelType,
               llvm::ArrayRef<int32_t> block, mlir::TypeRange shared);
};

/// Ends the host function with a launch of the kernel.
void launch(mlir::ImplicitLocOpBuilder &b, KernelModule &m,
            llvm::ArrayRef<mlir::Value> grid, llvm::ArrayRef<int32_t> block,
            mlir::ValueRange arguments, mlir::Value sharedBytes = {});

} // namespace ch15
