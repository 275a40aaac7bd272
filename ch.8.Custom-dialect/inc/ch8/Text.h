// Text.h - text from Python, read and lowered.
#pragma once

#include "ch1/Pipeline.h"
#include "ch8/Signature.h"

#include "mlir/IR/MLIRContext.h"
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace ch8 {

// [limits]
/// What a text may be at most.
inline constexpr size_t kMaxTextBytes = 512 * 1024;
inline constexpr int kMaxNesting = 64; // of ( [ { < together
inline constexpr int64_t kMaxVectorElements = 1024;
inline constexpr int64_t kMaxConstantElements = int64_t(1) << 20;
inline constexpr int64_t kMaxShapedElements = int64_t(1) << 40;
inline constexpr int64_t kMaxRankInText = 64;
/// And what compiling it may take (tools/ch8_check.cpp).
inline constexpr unsigned kMaxCpuSeconds = 60;
inline constexpr size_t kMaxBytes = size_t(8) << 30;
// [/limits]

/// A function that can be called, or why it cannot.
struct Entry {
  std::optional<Signature> signature;
  std::string refusal;
};

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

/// Runs all passes to the llvm dialect, with the stages on request, and checks
/// that the functions take what calls will pass (lowering.cpp). Throws
/// CompileError.
void lower(Source &source, ch1::Stages *stages = nullptr);

/// The passes (lowering.cpp).
void buildLowering(mlir::PassManager &passes, bool hasTensors);

/// What @name of the text is called in compiled code (lowering.cpp).
std::string compiledName(llvm::StringRef name);

/// Runs `task` on a thread with a stack for deep recursion, and waits. What it
/// throws is thrown here (process.cpp).
void onLargeStack(const std::function<void()> &task);

/// How far to try a text.
enum class Trial { Read, Compile };

/// Reads or compiles the text in a process of its own, so that this one lives
/// whatever the compiler does with it. Throws CompileError with what was said
/// there, or that the process died (process.cpp).
void tryInOwnProcess(const std::string &text, Trial trial);

} // namespace ch8
