// StoredCode.h - machine code that a file can hold: its key, and its way back.
#pragma once

#include "ch1/Jit.h"

#include "mlir/Pass/PassManager.h"
#include <memory>

namespace llvm::orc {
class LLJIT;
} // namespace llvm::orc

namespace ch3 {

/// All that machine code depends on, as text: the IR before its passes, the
/// passes with their options, the options of the compile, this machine, and the
/// builds of LLVM, of MLIR and of the library that `core`, the address of any
/// function in it, belongs to. It costs no compile.
std::string codeKey(mlir::ModuleOp module, mlir::PassManager &passes,
                    const ch1::JitOptions &options, const void *core);

/// An object file, linked and callable. Calls may come from several threads at
/// once.
class StoredCode {
public:
  /// object: what ch1::objectCode() returned for these options. Throws
  /// CompileError where it is no such thing.
  StoredCode(llvm::StringRef object, const ch1::JitOptions &options);
  ~StoredCode();

  /// As ch1::Jit has them.
  void *lookup(llvm::StringRef function) const;
  void invoke(llvm::StringRef function,
              llvm::MutableArrayRef<void *> arguments) const;

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace ch3
