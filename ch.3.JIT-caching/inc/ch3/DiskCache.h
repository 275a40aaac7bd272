// DiskCache.h - values that are expensive to make, kept for the next process.
//
//   a file  <SHA-256 of the key>.<kind>
//     0   "ch3cache", version of this format, check
//    16   SHA-256 of the key
//    48   number of bytes, check of the bytes, zeros
//  4096   the bytes: they begin with a page, so that they can be mapped
//
// It knows nothing of what the bytes are. ch3/Cache.h is the same within one
// process.
#pragma once

#include "ch3/FileBytes.h"

#include <mutex>

namespace ch3 {

/// How the bytes are checked when they are read.
enum class Check : uint32_t {
  Sha256 = 1, // of all bytes: about 0.3 GB/s
  /// XXH3 (128 bits) of each MiB, and SHA-256 of these: as fast as memory, by
  /// several threads. Damage does not pass it; somebody who means to make two
  /// files alike might.
  Blocks = 2
};

struct DiskCacheInfo {
  int64_t hits = 0;     // bytes that came from the disk
  int64_t misses = 0;   // there were none, or none to be trusted
  int64_t rejected = 0; // of the misses, those of the second kind
  size_t entries = 0;   // in the folder, of all processes
  uint64_t bytes = 0;
  std::string problem; // the last thing that went wrong, or ""
};

/// Values by key, in a folder. All members may be called from several threads
/// and processes at once, and none of them throws: a disk that cannot be used
/// is a miss.
class DiskCache {
public:
  /// limit: bytes that the folder may hold; beyond, what was used longest ago
  /// goes. The folder is made when there is something to write.
  DiskCache(std::string folder, uint64_t limit)
      : folder(std::move(folder)), limit(limit) {}

  /// The bytes that are stored for `key`, whole and checked; nothing where
  /// there are none. Throws nothing but std::bad_alloc.
  std::optional<FileBytes> get(llvm::StringRef key, llvm::StringRef kind,
                               Check check);

  /// Stores bytes for `key`. Returns whether they are stored. kind: lower-case
  /// letters.
  bool put(llvm::StringRef key, llvm::StringRef kind, Check check,
           llvm::ArrayRef<char> bytes);

  /// The last get() gave bytes that are no good: counts it as a miss.
  void reject(const std::string &why);

  DiskCacheInfo info() const;

  /// Removes all entries, and no other file. Returns how many there were.
  int64_t clear();

  const std::string folder;
  const uint64_t limit;

private:
  void shrink(const PrivateFolder &opened, const std::string &keep);
  void count(int64_t DiskCacheInfo::*counter);
  void note(const std::string &problem);

  mutable std::mutex lock;
  DiskCacheInfo counters; // guarded by lock
};

} // namespace ch3
