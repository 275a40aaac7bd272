//===- Scratch.h - the memory that compiled code works in -----------------===//
//
// A product packs A into a buffer of its own, in every call. malloc may give
// such a buffer back to the system when it is freed, and then each of its pages
// is a fault in the next call: a third of the time of a product of 512 x 512.
// So each thread keeps a few of the buffers that its calls have freed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ch10 {

/// What compiled code allocates with and frees with: for
/// ch1::JitOptions::symbols. A thread keeps at most 32 MiB, until it ends.
std::vector<std::pair<std::string, void *>> scratchSymbols();

} // namespace ch10
