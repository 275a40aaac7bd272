//===- Threads.h - OpenMP's runtime, for parallel loops -------------------===//
//
// convert-scf-to-openmp makes a parallel loop of scf.parallel, and LLVM calls
// of a runtime library of it. It is libomp, of the same packages as LLVM; it is
// loaded when somebody first asks for more than one thread.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ch10 {

/// What compiled code may call of OpenMP's runtime: for
/// ch1::JitOptions::symbols. Throws std::runtime_error, which says what to do,
/// where libomp cannot be loaded.
const std::vector<std::pair<std::string, void *>> &openMPSymbols();

/// The parallel loops that this thread enters from now on use `count` threads,
/// itself among them. Throws as openMPSymbols() does.
void useThreads(int64_t count);

/// The processors that this process may run on.
int64_t numProcessors();

/// The most that anybody may ask for.
inline constexpr int64_t kMaxThreads = 1024;

} // namespace ch10
