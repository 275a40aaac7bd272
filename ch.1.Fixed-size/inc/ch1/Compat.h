// Compat.h - the whole difference between LLVM 21 and 22, as far as the course
// meets it.
//
// One source serves both. Where the two spell something differently, the
// spelling is chosen here and nowhere else.
#pragma once

#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
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

} // namespace ch1::compat
