// Diagnostics.h - MLIR's errors, collected and thrown as one exception.
#pragma once

#include "mlir/IR/Diagnostics.h"
#include <stdexcept>
#include <string>

namespace ch1 {

/// A module that could not be built, lowered or compiled. what() holds MLIR's
/// own diagnostics, whole. Python sees it as CompileError, a RuntimeError.
class CompileError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Collects the diagnostics that MLIR emits while this object lives.
///
/// MLIR reports an error by emitting a diagnostic and returning failure().
/// Nothing may be thrown through MLIR's frames, so the text is kept until MLIR
/// has returned, and thrown then:
///
///     DiagnosticCollector diagnostics(context);
///     if (failed(passManager.run(module)))
///       diagnostics.raise("lowering failed");
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// Everything emitted so far, one line a diagnostic, notes below it.
  const std::string &text() const { return collected; }

  /// Throws CompileError: `what`, then the collected diagnostics.
  [[noreturn]] void raise(const std::string &what) const;

private:
  std::string collected;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace ch1
