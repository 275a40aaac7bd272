// CompiledStep.h - @step as machine code, shared by all models of one shape.
#pragma once

#include "ch14/Step.h"
#include "ch3/DiskCache.h"
#include "ch3/StoredCode.h"
#include "llvm/ADT/ArrayRef.h"
#include <memory>

namespace ch14 {

class CompiledStep {
public:
  /// The step for this shape: compiled the first time it is asked for, then
  /// shared. Threads that ask for the same shape at once compile it once.
  /// disk: where its code is looked for and kept (null: nowhere). Throws
  /// ch1::CompileError.
  static std::shared_ptr<const CompiledStep> get(const StepShape &shape,
                                                 ch3::DiskCache *disk);

  CompiledStep(const StepShape &shape, ch3::DiskCache *disk);

  /// What the code of this shape is kept by on disk.
  static std::string key(const StepShape &shape);

  /// Calls @step with the descriptors of all its arguments, in order.
  void call(llvm::ArrayRef<void *> descriptors) const;

  double compileSeconds() const { return seconds; }
  bool isFromDisk() const { return fromDisk; }

private:
  std::unique_ptr<ch3::StoredCode> code;
  bool fromDisk = false;
  double seconds;
};

/// How the step is compiled. Throws where it needs OpenMP and there is none.
ch1::JitOptions jitOptions(const StepShape &shape);

/// The module lowered to the llvm dialect, for inspection.
struct LoweredStep {
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  mlir::OwningOpRef<mlir::ModuleOp> module;
  ch1::Stages stages;
  explicit LoweredStep(const StepShape &shape, bool recordStages = false);
};

} // namespace ch14
