//===- KVCachePool.h - pages of keys and values, and who holds them -------===//
//
// The memory that every request's keys and values live in, cut into pages:
//
//   k_cache [layers, pages, heads, head_dim, page_size]   K transposed in a
//   page v_cache [layers, pages, heads, page_size, head_dim]
//
//   page   0    1    2    3    4    5        a page covers all layers: page 2
//   refs   1    2    0    1    0    0        is slice [:, 2] of both arrays
//          |    |         |
//          +----+---------+--- request A: page table [0, 1, 3]
//               +------------- request B: page table [1]        (page 1 shared)
//
// A page is free exactly when its reference count is zero. The pool owns the
// memory and the counts and nothing else: which request holds a page, and why,
// is the scheduler's business. Every method may be called from any thread, and
// one that throws has changed nothing.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace ch16 {

/// Zeroed memory for floats, aligned to 64 bytes at least, and to 2 MiB with
/// huge pages asked for where it is large. The system supplies the zeros as
/// memory is first touched, so a cache that is never used costs nothing.
class CacheMemory {
public:
  explicit CacheMemory(size_t numFloats);
  ~CacheMemory();
  CacheMemory(const CacheMemory &) = delete;
  CacheMemory &operator=(const CacheMemory &) = delete;

  float *data() const { return floats; }

private:
  void *mapping = nullptr;
  size_t mappedBytes = 0;
  float *floats = nullptr;
};

/// Too few pages are free. That is no mistake of the caller: a scheduler asks
/// `canAllocate` first, or waits.
struct OutOfPages : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The accounts do not add up: a bug in the pool or in who uses it.
struct IntegrityError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct PoolShape {
  int64_t numPages, pageSize, numLayers, numHeads, headDim;

  /// Elements of k_cache, and of v_cache.
  int64_t numFloats() const {
    return numLayers * numPages * numHeads * headDim * pageSize;
  }
};

/// Keys or values [tokens, heads, head_dim]; strides in bytes, as NumPy's.
struct TokenRows {
  const char *data;
  int64_t numTokens;
  int64_t tokenStride, headStride, dimStride;

  float at(int64_t token, int64_t head, int64_t dim) const {
    float value; // copied: NumPy allows addresses that are not aligned
    std::memcpy(&value,
                data + token * tokenStride + head * headStride +
                    dim * dimStride,
                sizeof(float));
    return value;
  }
};

class KVCachePool {
public:
  /// Throws std::invalid_argument for a size below 1, for more slots than a
  /// 32-bit number can name and for a cache larger than this machine's memory.
  explicit KVCachePool(const PoolShape &shape);

  // [interface]
  /// How many pages `numTokens` tokens fill, the last one perhaps in part.
  int64_t pagesNeeded(int64_t numTokens) const;
  bool canAllocate(int64_t numTokens) const;
  int64_t numFreePages() const;
  int32_t refCount(int64_t page) const;
  /// How many of the pages marked in `among` [numPages] have one holder.
  int64_t numHeldOnce(const std::vector<bool> &among) const;

  /// Takes pages for `numTokens` tokens, each with a reference count of 1.
  std::vector<int32_t> allocate(int64_t numTokens);
  /// The same, as pages that follow one another: the first run that is long
  /// enough. It is how memory is handed out where there are no page tables.
  std::vector<int32_t> allocateContiguous(int64_t numTokens);
  /// One more holder for each page; a free page cannot be shared.
  void share(const std::vector<int64_t> &pages);
  /// One holder less for each page; the last one to go makes the page free.
  void free(const std::vector<int64_t> &pages);
  // [/interface]

  /// Writes K and V of some tokens into one layer of `pages`, from the first
  /// slot of the first page on: what the compiled step does, a scalar at a
  /// time. A page with two holders is never written.
  void storeKV(const TokenRows &k, const TokenRows &v,
               const std::vector<int64_t> &pages, int64_t layer);

  /// Throws IntegrityError unless every page is free or counted, and not both.
  void checkIntegrity() const;
  /// The same, and each reference count equals the number of `holders` (the
  /// page tables of live requests) that name the page.
  void checkIntegrity(const std::vector<std::vector<int64_t>> &holders) const;

  /// Throws std::invalid_argument unless the layer exists.
  void requireLayer(int64_t layer) const;

  float *kCache() const { return k.data(); }
  float *vCache() const { return v.data(); }

  const PoolShape shape;

private:
  void requirePage(int64_t page) const;
  void checkFreeList() const;

  CacheMemory k, v;
  mutable std::mutex mutex;
  std::vector<int32_t> refCounts; ///< [numPages]
  std::vector<int32_t> freePages; ///< a stack: the page freed last goes first
};

} // namespace ch16
