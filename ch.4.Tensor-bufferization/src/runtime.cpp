// runtime.cpp - the functions that compiled code calls: malloc and free,
// counted, and a copy with strides.
//
//   memref.alloc   -> llvm.call @_mlir_memref_to_llvm_alloc(bytes)
//   memref.dealloc -> llvm.call @_mlir_memref_to_llvm_free(allocated)
//   memref.copy    -> llvm.call @memrefCopy(...)   unless memcpy will do
//
// finalize-memref-to-llvm leaves the first two for the program to define when
// it is run with use-generic-functions. A pool, huge pages or a limit would go
// here.
#include "ch4/Runtime.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ch4 {

/// Compiled code cannot be told that there is none: it would write to address
/// 0.
[[noreturn]] static void noMemory(uint64_t numBytes) {
  std::fprintf(stderr, "ch4: no memory for %llu bytes\n",
               static_cast<unsigned long long>(numBytes));
  std::abort();
}

// [allocator]
static std::atomic<int64_t> made, freed, bytes;

static void *allocate(uint64_t numBytes) {
  void *memory = std::malloc(numBytes);
  if (!memory)
    noMemory(numBytes);
  ++made;
  bytes += static_cast<int64_t>(numBytes);
  return memory;
}

void release(void *memory) {
  ++freed;
  std::free(memory);
}
// [/allocator]

Allocations allocations() { return {made, freed, bytes}; }

// [copy]
/// A memref of a rank known only now: the fields are those of ch.2's
/// descriptor, `rank` sizes and as many strides.
struct Unranked {
  int64_t rank;
  struct {
    char *allocated, *aligned;
    int64_t offset, sizesAndStrides[];
  } *fields;
};

static void copyFrom(int axis, int64_t itemSize, const char *source,
                     char *target, const Unranked &from, const Unranked &to) {
  if (axis == from.rank) {
    std::memcpy(target, source, itemSize);
    return;
  }
  for (int64_t i = 0; i < from.fields->sizesAndStrides[axis]; ++i) {
    copyFrom(axis + 1, itemSize, source, target, from, to);
    source += itemSize * from.fields->sizesAndStrides[from.rank + axis];
    target += itemSize * to.fields->sizesAndStrides[to.rank + axis];
  }
}

static void memrefCopy(int64_t itemSize, Unranked *from, Unranked *to) {
  copyFrom(0, itemSize, from->fields->aligned + itemSize * from->fields->offset,
           to->fields->aligned + itemSize * to->fields->offset, *from, *to);
}
// [/copy]

std::vector<std::pair<std::string, void *>> runtimeSymbols() {
  return {
      {"_mlir_memref_to_llvm_alloc", reinterpret_cast<void *>(&allocate)},
      {"_mlir_memref_to_llvm_free", reinterpret_cast<void *>(&release)},
      {"memrefCopy", reinterpret_cast<void *>(&memrefCopy)},
  };
}

} // namespace ch4
