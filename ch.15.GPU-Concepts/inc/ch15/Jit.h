//===- Jit.h - compiled kernels, as machine code and as PTX ---------------===//
#pragma once

#include "ch15/Kernels.h"

#include "ch1/Jit.h"
#include "ch1/Recipe.h"
#include "ch3/Cache.h"

#include <memory>
#include <string>

namespace ch15 {

/// A kernel's way to this machine, or to PTX for `chip`.
ch1::Recipe cpuRecipe(const std::string &kernel);
ch1::Recipe ptxRecipe(const std::string &kernel, const std::string &chip);

/// What a kernel was compiled to: one of the two.
struct Program {
  std::unique_ptr<ch1::Jit> jit; // for this machine
  void *function = nullptr;      // its host function, which takes descriptors
  std::string ptx;               // for a GPU
};

/// From the cache. Throws CompileError, and std::invalid_argument for a chip
/// that this chapter makes no PTX for or that the kernel cannot use.
std::shared_ptr<const Program> cpuProgram(const std::string &kernel,
                                          const ch1::Text &text);
std::shared_ptr<const Program> ptxProgram(const std::string &kernel,
                                          const std::string &chip,
                                          const ch1::Text &text);

/// Never destroyed: at the end of the process a thread may still be computing.
ch3::Cache<Program> &cache();

/// What the compiled code calls: MLIR's pool of threads.
ch1::JitOptions jitOptions();

} // namespace ch15
