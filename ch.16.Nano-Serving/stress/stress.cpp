//===- stress.cpp - many threads on one pool and one radix cache ----------===//
//
// Each thread plays requests that begin alike: match, allocate, write, insert,
// free, evict, remove, in an order that its own random numbers choose. Every
// page that a thread holds alone carries its mark, and every page of the tree
// the sum of its prefix: who finds another value has found a page with two
// owners. At the end every page must be free again.
//
//   stress SECONDS THREADS
//
// scripts/soak.sh builds it with AddressSanitizer and
// UndefinedBehaviorSanitizer and once more with ThreadSanitizer. It needs
// neither MLIR nor Python.
//
//===----------------------------------------------------------------------===//
#include "ch16/RadixCache.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

using namespace ch16;

static constexpr int64_t kPages = 10, kPageSize = 4, kMaxPages = 8;

namespace {

struct Counts {
  std::atomic<int64_t> requests{0}, matched{0}, evicted{0}, refused{0};
};

/// What the first slot of a page must hold: a hash of all tokens up to its end.
float markOf(const Tokens &tokens, size_t page) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < (page + 1) * kPageSize; ++i)
    hash = (hash ^ uint32_t(tokens[i])) * 16777619u;
  return float(hash & 0xffffff);
}

class Worker {
public:
  Worker(KVCachePool &pool, RadixCache &cache, Counts &counts, unsigned seed)
      : pool(pool), cache(cache), counts(counts), random(seed) {}

  // [request]
  void request() {
    Tokens tokens(draw(1, kMaxPages) * kPageSize);
    for (int32_t &token : tokens)
      token = int32_t(draw(0, 1));
    std::string salt = draw(0, 9) ? "" : "other";
    std::vector<int32_t> pages = cache.matchPrefix(tokens, salt);
    counts.matched += int64_t(pages.size());
    check(tokens, pages, 0);

    size_t known = pages.size(), wanted = tokens.size() / kPageSize - known;
    std::vector<int32_t> own = take(int64_t(wanted));
    for (size_t i = 0; i < own.size(); ++i) // nobody else may write there
      mark(own[i]) = markOf(tokens, known + i);
    pages.insert(pages.end(), own.begin(), own.end());
    tokens.resize(pages.size() * kPageSize);

    if (draw(0, 3))
      pages = cache.insert(tokens, pages, salt);
    check(tokens, pages, 0);
    if (!draw(0, 15))
      cache.remove(tokens, salt);
    if (!draw(0, 63))
      (void)cache.nodes();
    check(tokens, pages, known); // removed or not, what we hold stays
    pool.free(std::vector<int64_t>(pages.begin(), pages.end()));
    ++counts.requests;
  }
  // [/request]

private:
  int64_t draw(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  }

  float &mark(int32_t page) { return pool.kCache()[page * kPageSize]; }

  void check(const Tokens &tokens, const std::vector<int32_t> &pages,
             size_t first) {
    for (size_t i = first; i < pages.size(); ++i)
      if (mark(pages[i]) != markOf(tokens, i)) {
        std::fprintf(stderr, "page %d holds another prefix than its own\n",
                     int(pages[i]));
        std::abort();
      }
  }

  /// As many pages as there are, up to `wanted`; evicts where they run out.
  std::vector<int32_t> take(int64_t wanted) {
    while (wanted > 0) {
      try {
        return pool.allocate(wanted * kPageSize);
      } catch (const OutOfPages &) {
        int64_t numFreed = cache.evict(wanted);
        counts.evicted += numFreed;
        if (!numFreed && ++counts.refused)
          --wanted;
      }
    }
    return {};
  }

  KVCachePool &pool;
  RadixCache &cache;
  Counts &counts;
  std::mt19937 random;
};

} // namespace

int main(int argc, char **argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 5;
  int numThreads = argc > 2 ? std::atoi(argv[2]) : 4;
  if (argc > 3 || seconds <= 0 || numThreads < 1) {
    std::fprintf(stderr, "usage: stress SECONDS THREADS\n");
    return 2;
  }
  auto pool =
      std::make_shared<KVCachePool>(PoolShape{kPages, kPageSize, 1, 1, 1});
  RadixCache cache(pool);
  Counts counts;
  auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::vector<std::thread> threads;
  for (int i = 0; i < numThreads; ++i)
    threads.emplace_back([&, i] {
      Worker worker(*pool, cache, counts, unsigned(i));
      while (std::chrono::steady_clock::now() < end)
        worker.request();
    });
  while (std::chrono::steady_clock::now() < end) { // and one that looks on
    cache.checkIntegrity();
    pool->checkIntegrity();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (std::thread &thread : threads)
    thread.join();

  cache.checkIntegrity();
  pool->checkIntegrity({cache.pages()});
  std::printf("%lld requests of %d threads, %lld pages found, %lld evicted, "
              "%lld times none left; %lld of %lld pages cached\n",
              (long long)counts.requests, numThreads, (long long)counts.matched,
              (long long)counts.evicted, (long long)counts.refused,
              (long long)cache.numPages(), (long long)kPages);
  cache.clear();
  if (pool->numFreePages() != kPages) {
    std::fprintf(stderr, "%lld of %lld pages came back\n",
                 (long long)pool->numFreePages(), (long long)kPages);
    return 1;
  }
  return 0;
}
