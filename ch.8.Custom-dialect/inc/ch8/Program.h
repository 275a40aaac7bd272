// Program.h - text from Python, read, lowered and compiled.
#pragma once

#include "ch1/Jit.h"
#include "ch1/Pipeline.h"
#include "ch3/Cache.h"
#include "ch8/Call.h"

#include "mlir/IR/MLIRContext.h"
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace ch8 {

// [limits]
/// What a text may be at most. Beyond it, no machine's stack and nobody's
/// patience is safe.
inline constexpr size_t kMaxTextBytes = 512 * 1024;
inline constexpr int kMaxNesting = 64;              // of ( [ { < together
inline constexpr int64_t kMaxVectorElements = 4096; // LLVM unrolls vectors
inline constexpr int64_t kMaxConstantElements = 1 << 20;
inline constexpr int64_t kMaxShapedElements = int64_t(1) << 40;
inline constexpr int64_t kMaxRankInText = 64;
// [/limits]

// [functions]
/// A function that can be called, or why it cannot.
struct Entry {
  std::optional<Signature> signature;
  std::string refusal;
};
// [/functions]

/// A module that was read from text, and the context that owns it.
struct Source {
  std::unique_ptr<mlir::MLIRContext> context; // outlives the module
  mlir::OwningOpRef<mlir::ModuleOp> module;
  bool hasTensors = false;
  std::map<std::string, Entry> functions; // those that the text defines
};

/// Reads text that nobody has checked. Throws CompileError for what is not
/// MLIR, not of the accepted dialects, or beyond a limit (ir.cpp).
Source read(const std::string &text);

/// Runs all passes to the llvm dialect, with the stages on request
/// (lowering.cpp). Throws CompileError.
void lower(Source &source, ch1::Stages *stages = nullptr);

/// The passes (lowering.cpp).
void buildLowering(mlir::PassManager &passes, bool hasTensors);

/// What @name of the text is called in compiled code (lowering.cpp).
std::string compiledName(llvm::StringRef name);

/// Runs `task` on a thread with a stack for deep recursion, and waits. What it
/// throws is thrown here.
void onLargeStack(const std::function<void()> &task);

/// The machine code of a text, with all its functions.
class Program {
public:
  /// Reads, lowers and compiles. Throws CompileError.
  explicit Program(const std::string &text);

  struct Function {
    std::unique_ptr<Call> call; // none where it cannot be called
    void *address = nullptr;
    std::string refusal;
  };

  /// Throws ValueError where there is none, CompileError where it cannot be
  /// called.
  const Function &function(const std::string &name) const;

private:
  std::unique_ptr<ch1::Jit> jit;
  std::map<std::string, Function> functions;
};

/// The programs of the texts seen so far. Never destroyed: at the end of the
/// process a thread may still be computing.
ch3::Cache<Program> &cache();

/// The program of a text, from the cache.
std::shared_ptr<const Program> program(const std::string &text);

} // namespace ch8
