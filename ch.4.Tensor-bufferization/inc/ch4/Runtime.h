// Runtime.h - the functions that compiled code calls, and how often it did.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ch4 {

/// What the compiled code of this module has asked for since it was loaded.
struct Allocations {
  int64_t made;  // buffers allocated
  int64_t freed; // buffers given back
  int64_t bytes; // allocated, all together
};
Allocations allocations();

/// Allocate, free and copy, under the names that finalize-memref-to-llvm calls.
std::vector<std::pair<std::string, void *>> runtimeSymbols();

/// Gives back what compiled code allocated.
void release(void *memory);

} // namespace ch4
