// Bufferize.h - one product on tensors, and three ways to give it memory.
#pragma once

#include "ch1/Recipe.h"

namespace ch4 {

// [variant]
/// Where the memory of the result comes from.
enum class Variant {
  Naive,        // every write goes to fresh memory; the result is returned
  OutParameter, // in place where possible; the result is copied to an argument
  Destination   // the result is computed where it belongs
};
// [/variant]

/// "naive", "out_parameter" or "destination"; std::invalid_argument (ValueError
/// in Python) for another name.
Variant variantOf(const std::string &name);

/// What the IR may use, and how the passes learn to bufferize and free it
/// (lowering.cpp).
void registerDialects(mlir::DialectRegistry &registry);

/// The type of @gemm in the tensor form (ir.cpp).
mlir::FunctionType gemmType(mlir::MLIRContext *context, Variant variant);

/// The module with @gemm in the tensor form (ir.cpp).
mlir::OwningOpRef<mlir::ModuleOp> buildGemm(mlir::MLIRContext *context,
                                            Variant variant);

/// The passes from tensors to memrefs (lowering.cpp). With `deallocate`, what
/// they allocate and do not return is freed.
void buildBufferization(mlir::PassManager &passes, Variant variant,
                        bool deallocate);

/// All of the above and the passes to the llvm dialect.
ch1::Recipe recipe(std::string variant, bool deallocate);

} // namespace ch4
