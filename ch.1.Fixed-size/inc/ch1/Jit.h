// Jit.h - a module of the llvm dialect, compiled for this machine and callable.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mlir {
class ExecutionEngine;
} // namespace mlir

namespace ch1 {

struct JitOptions {
  /// LLVM's optimization level, 0 to 3, for the middle end and the code
  /// generator.
  int optLevel = 3;
  /// Shared libraries whose symbols the module may call.
  std::vector<std::string> sharedLibraries;
  /// Functions of this process that the module may call, by name.
  std::vector<std::pair<std::string, void *>> symbols;
  /// Code that runs wherever it is loaded, as an object file must be.
  bool positionIndependent = false;
};

/// Machine code for one module. Calls may come from several threads at once.
class Jit {
public:
  /// Compiles `module` (llvm dialect only). The module is not needed
  /// afterwards. Throws CompileError.
  explicit Jit(mlir::ModuleOp module, const JitOptions &options = {});
  ~Jit();
  Jit(const Jit &) = delete;
  Jit &operator=(const Jit &) = delete;

  /// The address of a function. Throws CompileError where there is none.
  void *lookup(llvm::StringRef function) const;

  /// Calls a function through the "packed" wrapper that the engine makes for
  /// every function, `_mlir_NAME(void **)`: each element of `arguments` points
  /// to one argument. For a function with a C interface pass the name
  /// "_mlir_ciface_f", and for a memref a pointer to a pointer to its
  /// descriptor.
  void invoke(llvm::StringRef function,
              llvm::MutableArrayRef<void *> arguments) const;

private:
  std::unique_ptr<mlir::ExecutionEngine> engine;
};

/// The optimized LLVM IR of a lowered module, as Jit would compile it.
std::string llvmIR(mlir::ModuleOp module, const JitOptions &options = {});

/// The assembly of a lowered module for this machine, as Jit would compile it.
std::string assembly(mlir::ModuleOp module, const JitOptions &options = {});

/// The same as the bytes of an object file, with a "packed" wrapper for each
/// function as Jit::invoke() wants it. Ask for code that is positionIndependent
/// to load it later. Throws CompileError.
std::string objectCode(mlir::ModuleOp module, const JitOptions &options = {});

/// What machine code depends on beside the module: this machine as LLVM names
/// it (triple, processor, features) and the options.
std::string hostText(const JitOptions &options = {});

} // namespace ch1
