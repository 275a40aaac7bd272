// disk_cache.cpp - bytes by key, in a folder; trusted only after a check.
#include "ch3/DiskCache.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <system_error>
#include <thread>

namespace ch3 {

namespace {

using Digest = std::array<uint8_t, 32>;

// [header]
/// The first bytes of a file, as they lie there. Every one of them is checked.
struct Header {
  char magic[8] = {'c', 'h', '3', 'c', 'a', 'c', 'h', 'e'};
  uint32_t version = 1;
  Check check;
  Digest key;
  uint64_t size;
  Digest digest;         // of the bytes that follow
  char zeros[4008] = {}; // up to the next page

  bool operator==(const Header &other) const {
    return std::memcmp(this, &other, sizeof(Header)) == 0;
  }
};
static_assert(sizeof(Header) == 4096,
              "no gaps, whose bytes nobody would check");
// [/header]

constexpr uint64_t kBlock = 1 << 20;
constexpr unsigned kMostThreads = 4;

/// A name that file() gave: nothing else is ever removed.
bool isEntry(llvm::StringRef name) {
  auto [hex, kind] = name.split('.');
  return hex.size() == 64 && llvm::all_of(hex, llvm::isHexDigit) &&
         !kind.empty() && llvm::all_of(kind, llvm::isLower);
}

} // namespace

static Digest sha256(llvm::StringRef bytes) {
  return llvm::SHA256::hash(llvm::arrayRefFromStringRef(bytes));
}

static std::string nameOf(const Digest &key, llvm::StringRef kind) {
  return llvm::toHex(key, /*LowerCase=*/true) + "." + kind.str();
}

/// Calls work(block) for all blocks, by a few threads. Passes on the first of
/// its exceptions.
static void forBlocks(uint64_t count, llvm::function_ref<void(uint64_t)> work) {
  unsigned numThreads =
      std::min({kMostThreads, std::max(1u, std::thread::hardware_concurrency()),
                unsigned(std::min<uint64_t>(count, kMostThreads))});
  std::vector<std::exception_ptr> problems(numThreads);
  auto share = [&](unsigned thread) {
    try {
      for (uint64_t block = thread; block < count; block += numThreads)
        work(block);
    } catch (...) {
      problems[thread] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  unsigned first = numThreads; // of those whose thread could not be started
  for (unsigned i = 1; i < numThreads; ++i)
    try {
      threads.emplace_back(share, i);
    } catch (const std::system_error &) {
      first = i;
      break;
    }
  if (numThreads)
    share(0);
  for (unsigned i = first; i < numThreads; ++i)
    share(i);
  for (std::thread &thread : threads)
    thread.join();
  for (const std::exception_ptr &problem : problems)
    if (problem)
      std::rethrow_exception(problem);
}

// [digest]
/// The check of `bytes`. Each block is first handed to `load`, which may have
/// to read it: so it is checked while it is in the processor's cache.
static Digest digestOf(llvm::ArrayRef<char> bytes, Check check,
                       llvm::function_ref<void(uint64_t, uint64_t)> load) {
  std::vector<llvm::XXH128_hash_t> sums((bytes.size() + kBlock - 1) / kBlock);
  forBlocks(sums.size(), [&](uint64_t i) {
    uint64_t first = i * kBlock;
    auto block = bytes.slice(first, std::min(kBlock, bytes.size() - first));
    load(first, block.size());
    if (check == Check::Blocks)
      sums[i] = llvm::xxh3_128bits(llvm::arrayRefFromStringRef(
          llvm::StringRef(block.data(), block.size())));
  });
  if (check == Check::Sha256)
    return sha256(llvm::StringRef(bytes.data(), bytes.size()));
  return sha256(llvm::StringRef(reinterpret_cast<const char *>(sums.data()),
                                sums.size() * sizeof(llvm::XXH128_hash_t)));
}
// [/digest]

// [get]
std::optional<FileBytes> DiskCache::get(llvm::StringRef key,
                                        llvm::StringRef kind, Check check) {
  Digest digest = sha256(key);
  std::string name = nameOf(digest, kind);
  try {
    std::optional<PrivateFolder> opened = PrivateFolder::open(folder);
    std::optional<File> file = opened ? opened->read(name) : std::nullopt;
    if (!file) {
      count(&DiskCacheInfo::misses);
      return std::nullopt;
    }
    Header found;
    file->read({reinterpret_cast<char *>(&found), sizeof(Header)}, 0);
    FileBytes content(*file, sizeof(Header));
    Header expected;
    expected.check = check;
    expected.key = digest;
    expected.size = content.bytes().size();
    expected.digest =
        digestOf(content.bytes(), check, [&](uint64_t first, uint64_t count) {
          content.load(*file, first, count);
        });
    if (!(found == expected))
      throw FolderError("it is not what was written");
    file->touch();
    count(&DiskCacheInfo::hits);
    return content;
  } catch (const FolderError &error) {
    count(&DiskCacheInfo::misses);
    count(&DiskCacheInfo::rejected);
    note(name + " is not used: " + error.what());
    return std::nullopt;
  }
}
// [/get]

bool DiskCache::put(llvm::StringRef key, llvm::StringRef kind, Check check,
                    llvm::ArrayRef<char> bytes) {
  Header header;
  header.check = check;
  header.key = sha256(key);
  header.size = bytes.size();
  std::string name = nameOf(header.key, kind);
  if (sizeof(Header) + bytes.size() > limit) {
    note(name + " is not stored: its " + std::to_string(bytes.size()) +
         " bytes are more than the cache's limit of " + std::to_string(limit));
    return false;
  }
  header.digest = digestOf(bytes, check, [](uint64_t, uint64_t) {});
  try {
    PrivateFolder opened = PrivateFolder::make(folder);
    opened.write(
        name,
        {{reinterpret_cast<const char *>(&header), sizeof(Header)}, bytes});
    shrink(opened, name);
    return true;
  } catch (const FolderError &error) {
    note(name + " is not stored: " + error.what());
    return false;
  }
}

void DiskCache::reject(const std::string &why) {
  std::lock_guard<std::mutex> guard(lock);
  --counters.hits;
  ++counters.misses;
  ++counters.rejected;
  counters.problem = why;
}

// [shrink]
/// Removes what was used longest ago until the rest is within the limit. What
/// a process that ended left unfinished goes after an hour.
void DiskCache::shrink(const PrivateFolder &opened, const std::string &keep) {
  uint64_t bytes = 0;
  std::vector<PrivateFolder::Entry> entries = opened.list();
  llvm::erase_if(entries, [&](const PrivateFolder::Entry &entry) {
    auto age = PrivateFolder::Clock::now() - entry.lastUse;
    if (PrivateFolder::isUnfinished(entry.name) && age > std::chrono::hours(1))
      opened.remove(entry.name);
    if (!isEntry(entry.name))
      return true;
    bytes += entry.bytes;
    return entry.name == keep;
  });
  llvm::sort(entries, [](const auto &a, const auto &b) {
    return a.lastUse < b.lastUse;
  });
  for (const PrivateFolder::Entry &entry : entries) {
    if (bytes <= limit)
      break;
    opened.remove(entry.name); // or another process was faster
    bytes -= entry.bytes;
  }
}
// [/shrink]

DiskCacheInfo DiskCache::info() const {
  std::unique_lock<std::mutex> guard(lock);
  DiskCacheInfo info = counters;
  guard.unlock();
  try {
    if (std::optional<PrivateFolder> opened = PrivateFolder::open(folder))
      for (const PrivateFolder::Entry &entry : opened->list())
        if (isEntry(entry.name)) {
          ++info.entries;
          info.bytes += entry.bytes;
        }
  } catch (const FolderError &error) {
    info.problem = error.what();
  }
  return info;
}

int64_t DiskCache::clear() {
  int64_t removed = 0;
  try {
    if (std::optional<PrivateFolder> opened = PrivateFolder::open(folder))
      for (const PrivateFolder::Entry &entry : opened->list())
        if (isEntry(entry.name) || PrivateFolder::isUnfinished(entry.name))
          removed += opened->remove(entry.name);
  } catch (const FolderError &error) {
    note(error.what());
  }
  return removed;
}

void DiskCache::count(int64_t DiskCacheInfo::*counter) {
  std::lock_guard<std::mutex> guard(lock);
  ++(counters.*counter);
}

void DiskCache::note(const std::string &problem) {
  std::lock_guard<std::mutex> guard(lock);
  counters.problem = problem;
}

} // namespace ch3
