//===- kv_cache_pool.cpp - the accounts of the page pool ------------------===//
//
// The state is two arrays under one mutex, and each page is in exactly one of
// two states:
//
//                    allocate                    share: refs + 1
//   free, refs = 0 ------------> held, refs >= 1 <---+
//         ^                         |     |          |
//         +-------------------------+     +----------+
//           free, and refs reaches 0      free, and refs stays above 0
//
// A method that changes several pages first checks all of them, then changes
// all of them: a call that throws leaves the accounts as they were.
//
//===----------------------------------------------------------------------===//
#include "ch16/KVCachePool.h"

#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace ch16 {

static std::string str(int64_t number) { return std::to_string(number); }

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//
CacheMemory::CacheMemory(size_t numFloats) {
  constexpr size_t hugePage = size_t(2) << 20;
  size_t numBytes = numFloats * sizeof(float);
  bool large = numBytes >= hugePage;

  // An anonymous mapping is zero and begins at a 4 KiB boundary. For a 2 MiB
  // boundary we map that much more and start inside.
  mappedBytes = numBytes + (large ? hugePage : 0);
  mapping = mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED)
    throw std::bad_alloc();

  auto start = reinterpret_cast<uintptr_t>(mapping);
  if (large) {
    start = (start + hugePage - 1) / hugePage * hugePage;
#ifdef MADV_HUGEPAGE
    // Advice only: without huge pages the cache is slower, not wrong.
    (void)madvise(reinterpret_cast<void *>(start), numBytes, MADV_HUGEPAGE);
#endif
  }
  floats = reinterpret_cast<float *>(start);
}

CacheMemory::~CacheMemory() { munmap(mapping, mappedBytes); }

/// Bytes of memory this machine has, or the largest number where it won't say.
static int64_t physicalMemory() {
  int64_t pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || pageBytes <= 0)
    return std::numeric_limits<int64_t>::max();
  return pages * pageBytes;
}

/// Returns `shape` if a pool of it can exist. The product is formed in steps,
/// each checked before the next, so that it cannot overflow.
static PoolShape validated(const PoolShape &shape) {
  const std::pair<const char *, int64_t> sizes[] = {
      {"num_pages", shape.numPages},
      {"page_size", shape.pageSize},
      {"num_layers", shape.numLayers},
      {"num_heads", shape.numHeads},
      {"head_dim", shape.headDim}};
  for (const auto &[name, size] : sizes)
    if (size < 1)
      throw std::invalid_argument(std::string(name) +
                                  " must be at least 1, got " + str(size));

  constexpr int64_t maxSlots = std::numeric_limits<int32_t>::max();
  if (shape.numPages > maxSlots / shape.pageSize)
    throw std::invalid_argument(
        "num_pages * page_size must be at most " + str(maxSlots) +
        ", because slots are 32-bit numbers; got " + str(shape.numPages) +
        " * " + str(shape.pageSize));

  int64_t limit = physicalMemory() / (2 * int64_t(sizeof(float)));
  int64_t numFloats = 1;
  for (const auto &[name, size] : sizes) {
    if (size > limit / numFloats)
      throw std::invalid_argument(
          "a cache of num_pages=" + str(shape.numPages) + ", page_size=" +
          str(shape.pageSize) + ", num_layers=" + str(shape.numLayers) +
          ", num_heads=" + str(shape.numHeads) +
          ", head_dim=" + str(shape.headDim) + " takes more than the " +
          str(physicalMemory() >> 20) + " MiB of memory of this machine");
    numFloats *= size;
  }
  return shape;
}

//===----------------------------------------------------------------------===//
// Pages
//===----------------------------------------------------------------------===//

KVCachePool::KVCachePool(const PoolShape &requested)
    : shape(validated(requested)), k(shape.numFloats()), v(shape.numFloats()),
      refCounts(shape.numPages, 0), freePages(shape.numPages) {
  // The top of the stack is its end: page 0 is handed out first.
  for (int64_t i = 0; i < shape.numPages; ++i)
    freePages[i] = int32_t(shape.numPages - 1 - i);
}

int64_t KVCachePool::pagesNeeded(int64_t numTokens) const {
  if (numTokens < 0)
    throw std::invalid_argument("num_tokens must be at least 0, got " +
                                str(numTokens));
  return numTokens / shape.pageSize + (numTokens % shape.pageSize != 0);
}

bool KVCachePool::canAllocate(int64_t numTokens) const {
  return pagesNeeded(numTokens) <= numFreePages();
}

int64_t KVCachePool::numFreePages() const {
  std::lock_guard<std::mutex> lock(mutex);
  return int64_t(freePages.size());
}

int32_t KVCachePool::refCount(int64_t page) const {
  requirePage(page);
  std::lock_guard<std::mutex> lock(mutex);
  return refCounts[page];
}

int64_t KVCachePool::numHeldOnce(const std::vector<bool> &among) const {
  std::lock_guard<std::mutex> lock(mutex);
  int64_t count = 0;
  for (size_t page = 0; page < among.size(); ++page)
    count += among[page] && refCounts[page] == 1;
  return count;
}

// [allocate]
std::vector<int32_t> KVCachePool::allocate(int64_t numTokens) {
  int64_t wanted = pagesNeeded(numTokens);
  std::lock_guard<std::mutex> lock(mutex);
  int64_t available = int64_t(freePages.size());
  if (wanted > available)
    throw OutOfPages(str(numTokens) + " tokens need " + str(wanted) +
                     " pages of " + str(shape.pageSize) + " tokens; " +
                     str(available) + " of " + str(shape.numPages) +
                     " pages are free");

  std::vector<int32_t> pages(freePages.rbegin(), freePages.rbegin() + wanted);
  freePages.resize(available - wanted);
  for (int32_t page : pages)
    refCounts[page] = 1;
  return pages;
}
// [/allocate]

// [allocate-contiguous]
std::vector<int32_t> KVCachePool::allocateContiguous(int64_t numTokens) {
  int64_t wanted = pagesNeeded(numTokens);
  std::lock_guard<std::mutex> lock(mutex);
  int64_t run = 0, end = 0;
  for (; end < shape.numPages && run < wanted; ++end)
    run = refCounts[end] == 0 ? run + 1 : 0;
  if (run < wanted)
    throw OutOfPages(str(numTokens) + " tokens need " + str(wanted) +
                     " pages in a row; " + str(int64_t(freePages.size())) +
                     " of " + str(shape.numPages) +
                     " pages are free, and no run of them is that long");

  std::vector<int32_t> pages(wanted);
  for (int64_t i = 0; i < wanted; ++i) {
    pages[i] = int32_t(end - wanted + i);
    refCounts[pages[i]] = 1;
  }
  auto isTaken = [this](int32_t page) { return refCounts[page] != 0; };
  freePages.erase(std::remove_if(freePages.begin(), freePages.end(), isTaken),
                  freePages.end());
  return pages;
}
// [/allocate-contiguous]

void KVCachePool::share(const std::vector<int64_t> &pages) {
  std::lock_guard<std::mutex> lock(mutex);
  for (int64_t page : pages) {
    requirePage(page);
    if (refCounts[page] == 0)
      throw std::invalid_argument("page " + str(page) +
                                  " is free and cannot be shared");
  }
  for (int64_t page : pages)
    ++refCounts[page];
}

// [free]
void KVCachePool::free(const std::vector<int64_t> &pages) {
  std::lock_guard<std::mutex> lock(mutex);
  for (int64_t page : pages)
    requirePage(page);

  // A page may be named twice if it has two holders, so we take the counts down
  // as we go, and put back what we took if a page turns out to be free already.
  std::vector<int32_t> nowFree;
  nowFree.reserve(pages.size());
  for (size_t i = 0; i < pages.size(); ++i) {
    if (refCounts[pages[i]] == 0) {
      for (size_t j = 0; j < i; ++j)
        ++refCounts[pages[j]];
      throw std::invalid_argument("page " + str(pages[i]) +
                                  " is freed more often than it is held");
    }
    if (--refCounts[pages[i]] == 0)
      nowFree.push_back(int32_t(pages[i]));
  }
  // `freePages` never grows past its first size, so this cannot throw.
  freePages.insert(freePages.end(), nowFree.rbegin(), nowFree.rend());
}
// [/free]

//===----------------------------------------------------------------------===//
// Keys and values
//===----------------------------------------------------------------------===//

void KVCachePool::storeKV(const TokenRows &newK, const TokenRows &newV,
                          const std::vector<int64_t> &pages, int64_t layer) {
  requireLayer(layer);
  if (newK.numTokens != newV.numTokens)
    throw std::invalid_argument("k and v must hold equally many tokens, got " +
                                str(newK.numTokens) + " and " +
                                str(newV.numTokens));
  int64_t numTokens = newK.numTokens;
  if (pagesNeeded(numTokens) != int64_t(pages.size()))
    throw std::invalid_argument(str(numTokens) + " tokens need " +
                                str(pagesNeeded(numTokens)) + " pages of " +
                                str(shape.pageSize) + " tokens, got " +
                                str(int64_t(pages.size())) + " pages");

  std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; i < pages.size(); ++i) {
    requirePage(pages[i]);
    int32_t refs = refCounts[pages[i]];
    if (refs != 1)
      throw std::invalid_argument(
          "page " + str(pages[i]) +
          (refs == 0 ? " is free: allocate it before writing to it"
                     : " has " + str(refs) +
                           " holders, and a shared page is never written"));
    if (std::find(pages.begin(), pages.begin() + i, pages[i]) !=
        pages.begin() + i)
      throw std::invalid_argument("page " + str(pages[i]) +
                                  " is named twice in pages");
  }
  for (int64_t token = 0; token < numTokens; ++token) {
    int64_t page = pages[token / shape.pageSize];
    int64_t offset = token % shape.pageSize;
    for (int64_t head = 0; head < shape.numHeads; ++head) {
      // Start of this head's part of the page; the same in both arrays.
      int64_t block =
          ((layer * shape.numPages + page) * shape.numHeads + head) *
          shape.headDim * shape.pageSize;
      for (int64_t dim = 0; dim < shape.headDim; ++dim) {
        kCache()[block + dim * shape.pageSize + offset] =
            newK.at(token, head, dim);
        vCache()[block + offset * shape.headDim + dim] =
            newV.at(token, head, dim);
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

void KVCachePool::requirePage(int64_t page) const {
  if (page < 0 || page >= shape.numPages)
    throw std::invalid_argument("page " + str(page) +
                                " does not exist: the pool has pages 0 to " +
                                str(shape.numPages - 1));
}

void KVCachePool::requireLayer(int64_t layer) const {
  if (layer < 0 || layer >= shape.numLayers)
    throw std::invalid_argument("layer " + str(layer) +
                                " does not exist: the pool has layers 0 to " +
                                str(shape.numLayers - 1));
}

void KVCachePool::checkFreeList() const {
  std::vector<bool> isFree(shape.numPages, false);
  for (int32_t page : freePages) {
    if (isFree[page])
      throw IntegrityError("page " + str(page) + " is twice in the free list");
    isFree[page] = true;
  }
  for (int64_t page = 0; page < shape.numPages; ++page)
    if (isFree[page] != (refCounts[page] == 0))
      throw IntegrityError("page " + str(page) + " has " +
                           str(refCounts[page]) + " holders and is " +
                           (isFree[page] ? "" : "not ") + "in the free list");
}

void KVCachePool::checkIntegrity() const {
  std::lock_guard<std::mutex> lock(mutex);
  checkFreeList();
}

void KVCachePool::checkIntegrity(
    const std::vector<std::vector<int64_t>> &holders) const {
  std::vector<int64_t> expected(shape.numPages, 0);
  for (const std::vector<int64_t> &pages : holders)
    for (int64_t page : pages) {
      requirePage(page);
      ++expected[page];
    }
  std::lock_guard<std::mutex> lock(mutex);
  checkFreeList();
  for (int64_t page = 0; page < shape.numPages; ++page)
    if (expected[page] != refCounts[page])
      throw IntegrityError(
          "page " + str(page) + " is held by " + str(expected[page]) +
          " page tables, and its reference count is " + str(refCounts[page]) +
          " (" + str(int64_t(freePages.size())) + " of " + str(shape.numPages) +
          " pages are free)");
}

} // namespace ch16
