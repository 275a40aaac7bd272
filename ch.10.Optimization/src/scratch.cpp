//===- scratch.cpp - the memory that compiled code works in ---------------===//
#include "ch10/Scratch.h"

#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>

namespace ch10 {

namespace {

constexpr size_t kKept = size_t(32) << 20; // bytes, of one thread
constexpr size_t kHuge = size_t(2) << 20;  // a huge page of x86

/// Stands before the memory that is handed out.
struct Block {
  size_t size;   // of the memory
  size_t header; // from the block's beginning to the memory
  void *memory() { return reinterpret_cast<char *>(this + 1); }
  void *begin() { return static_cast<char *>(memory()) - header; }
  static Block *of(void *memory) { return static_cast<Block *>(memory) - 1; }
};

// [kept]
/// The blocks that one thread has freed and may use again.
struct Kept {
  std::vector<Block *> blocks;
  size_t bytes = 0;

  /// The smallest that holds `size` bytes and is not twice as large, or null.
  Block *take(size_t alignment, size_t size) {
    auto fits = [=](Block *block) {
      return block->size >= size && block->size / 2 <= size &&
             block->header % alignment == 0;
    };
    auto best = blocks.end();
    for (auto i = blocks.begin(); i != blocks.end(); ++i)
      if (fits(*i) && (best == blocks.end() || (*i)->size < (*best)->size))
        best = i;
    if (best == blocks.end())
      return nullptr;
    Block *block = *best;
    blocks.erase(best);
    bytes -= block->size;
    return block;
  }

  void give(Block *block) {
    if (bytes + block->size > kKept)
      return std::free(block->begin());
    blocks.push_back(block);
    bytes += block->size;
  }

  ~Kept() {
    for (Block *block : blocks)
      std::free(block->begin());
  }
};
// [/kept]

thread_local Kept kept;

void *allocate(size_t alignment, size_t size) {
  size_t header = std::max<size_t>(alignment, 64);
  if (Block *block = kept.take(header, size))
    return block->memory();
  // Huge pages begin at multiples of themselves.
  size_t begin = std::max(size >= kHuge ? kHuge : 64, header);
  size_t whole = (header + size + begin - 1) / begin * begin;
  char *at = static_cast<char *>(std::aligned_alloc(begin, whole));
  if (!at)
    return nullptr;
#ifdef MADV_HUGEPAGE
  if (size >= kHuge)
    madvise(at, whole, MADV_HUGEPAGE); // a wish: all is well without it
#endif
  *Block::of(at + header) = {size, header};
  return at + header;
}

void release(void *memory) {
  if (memory)
    kept.give(Block::of(memory));
}

} // namespace

std::vector<std::pair<std::string, void *>> scratchSymbols() {
  return {{"aligned_alloc", reinterpret_cast<void *>(&allocate)},
          {"free", reinterpret_cast<void *>(&release)}};
}

} // namespace ch10
