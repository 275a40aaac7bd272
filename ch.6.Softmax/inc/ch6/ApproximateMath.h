// ApproximateMath.h - a pass that makes polynomials of exp and tanh.
#pragma once

#include "llvm/ADT/StringRef.h"
#include <memory>

namespace mlir {
class Pass;
} // namespace mlir

namespace ch6 {

/// math.exp and math.tanh of f32, or of vectors of f32, become arithmetic that
/// comes within a few units in the last place. Other functions and f64 stay.
/// `flag` is the pass's name on a command line and in stages(); a later chapter
/// may give its own.
std::unique_ptr<mlir::Pass>
createApproximateMathPass(llvm::StringRef flag = "ch6-approximate-math");

} // namespace ch6
