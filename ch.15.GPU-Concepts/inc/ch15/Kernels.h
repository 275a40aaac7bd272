//===- Kernels.h - the kernels of ch.15 -----------------------------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/ArrayRef.h"

#include <array>
#include <cstdint>
#include <string>

namespace ch15 {

/// Threads of a block of vector_add and of softmax.
inline constexpr int64_t kThreads = 256;
/// matmul's tile: kTile x kTile elements of C, a thread for each.
inline constexpr int64_t kTile = 16;

/// How matmul_f16 cuts its product. A block has one warp group (128 threads)
/// that fetches and `consumers` that multiply; each of these owns 64 x columns
/// elements of C, in registers.
struct TensorTile {
  int64_t consumers = 2; // rows of a block's tile: 64 * consumers
  int64_t columns = 256; // a multiple of 64, at most 256
  int64_t stages = 4;    // tiles of A and B that are on their way or in use
  int64_t group = 8;     // blocks that follow each other lie in so many rows

  int64_t rows() const { return 64 * consumers; }
  int64_t threads() const { return 128 * (consumers + 1); }
  /// A multiprocessor has 65,536 registers, dealt out in equal shares. Those
  /// who multiply take most of what the ones that fetch give back.
  int64_t fetchRegisters() const { return consumers < 3 ? 40 : 32; }
  int64_t multiplyRegisters() const { return consumers < 3 ? 232 : 160; }
  /// Of A, rows x 64 half-precision numbers; of B, 64 x columns.
  int64_t stageBytes() const { return 2 * 64 * (rows() + columns); }
  int64_t sharedBytes() const { return stages * stageBytes() + 1024; }
};

/// What a launch asks for.
struct Launch {
  std::array<int64_t, 3> grid, block; // x, y, z
  int64_t sharedBytes = 0;            // on top of what the kernel declares
};

/// A kernel of this chapter, and the host function of the same name.
struct Kernel {
  const char *name;
  const char *chip; // the least that its PTX is made for
  mlir::FunctionType (*type)(mlir::MLIRContext *);
  mlir::OwningOpRef<mlir::ModuleOp> (*build)(mlir::MLIRContext *);
  /// The launch that the host function makes, for sizes [n], [M, N] or [rows].
  Launch (*launch)(llvm::ArrayRef<int64_t> sizes);
};

/// "vector_add", "matmul", "softmax" or "matmul_f16". Throws
/// std::invalid_argument for another name.
const Kernel &findKernel(const std::string &name);

/// The dialects of this chapter, and how they become LLVM IR and PTX.
void registerDialects(mlir::DialectRegistry &registry);

/// matmul_f16 with another tile than its own (tensor_cores.cpp).
mlir::OwningOpRef<mlir::ModuleOp> buildTensorMatmul(mlir::MLIRContext *context,
                                                    const TensorTile &tile);
Launch launchTensorMatmul(llvm::ArrayRef<int64_t> sizes,
                          const TensorTile &tile);
mlir::FunctionType tensorMatmulType(mlir::MLIRContext *context);

} // namespace ch15
