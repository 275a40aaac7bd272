// Compat.h - the whole difference between LLVM 21 and 22, as far as the course
// meets it.
//
// One source serves both. Where the two spell something differently, the
// spelling is chosen here and nowhere else.
#pragma once

#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/TargetParser/Triple.h"

static_assert(LLVM_VERSION_MAJOR == 21 || LLVM_VERSION_MAJOR == 22,
              "the course follows LLVM/MLIR 21 and 22");

namespace ch1::compat {

// [compat]
/// Lets buffer-results-to-out-params rewrite public functions too: always so in
/// 21, an option that is off by default in 22.
inline void modifyPublicFunctions(
    mlir::bufferization::BufferResultsToOutParamsPassOptions &options) {
#if LLVM_VERSION_MAJOR >= 22
  options.modifyPublicFunctions = true;
#endif
}
// [/compat]

#if LLVM_VERSION_MAJOR < 22
struct PrefetchEffects
    : mlir::MemoryEffectOpInterface::ExternalModel<PrefetchEffects,
                                                   mlir::memref::PrefetchOp> {
  void getEffects(
      mlir::Operation *op,
      llvm::SmallVectorImpl<mlir::MemoryEffects::EffectInstance> &all) const {
    all.emplace_back(mlir::MemoryEffects::Write::get(), &op->getOpOperand(0));
  }
};
#endif

/// memref.prefetch counts as a write, which 22 knows by itself. Without it the
/// passes that free buffers refuse a function that has one.
inline void
sayWhatPrefetchDoes([[maybe_unused]] mlir::DialectRegistry &registry) {
#if LLVM_VERSION_MAJOR < 22
  registry.addExtension(
      +[](mlir::MLIRContext *context, mlir::memref::MemRefDialect *) {
        mlir::memref::PrefetchOp::attachInterface<PrefetchEffects>(*context);
      });
#endif
}

} // namespace ch1::compat
