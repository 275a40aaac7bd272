//===- RadixCache.h - which pages hold the tokens of which prefix ---------===//
//
// A radix tree over tokens whose edges are whole pages. A path from the root
// spells a prefix that has been computed; its pages hold that prefix's keys and
// values. With pages of 2 tokens:
//
//   root ── [1 2 3 4] pages 7 0 ──┬── [5 6] page 2
//     │                           └── [5 9 8 8] pages 3 5
//     └──── [9 9] page 4
//
// Children differ within their first page, and so they are found by it. An edge
// is split where a new prefix leaves it.
//
// The tree is one holder of each of its pages (KVCachePool counts holders). A
// request that is given pages by matchPrefix becomes another. That count is the
// lock: a page with two holders is in use, and eviction never takes it. Whoever
// holds a page of the tree holds those before it on the path too, so what is in
// use is always the top of the tree.
//
// Every method may be called from any thread. One that throws has changed
// nothing that a caller can see.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch16/KVCachePool.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace ch16 {

using Tokens = std::vector<int32_t>;

/// One edge of the tree, as people look at it.
struct RadixNode {
  std::string salt;
  int64_t parent; ///< index of the node above it, -1 below a root
  Tokens tokens;
  std::vector<int32_t> pages;
  int64_t numPagesInUse;
  uint64_t lastUse; ///< a count of operations, not a time
};

class RadixCache {
public:
  explicit RadixCache(std::shared_ptr<KVCachePool> pool);
  ~RadixCache();
  RadixCache(const RadixCache &) = delete;
  RadixCache &operator=(const RadixCache &) = delete;

  // [interface]
  /// The pages of the longest known prefix of `tokens`, in whole pages. The
  /// caller becomes a holder of each and gives them back by KVCachePool::free.
  /// Trees of different salts know nothing of each other.
  std::vector<int32_t> matchPrefix(const Tokens &tokens,
                                   const std::string &salt);

  /// Remembers that `pages`, which the caller holds, have the keys and values
  /// of `tokens`. What the tree has already it keeps, and the caller's own copy
  /// of it is given back. Returns the pages that hold these tokens now, each of
  /// them held by the caller.
  std::vector<int32_t> insert(const Tokens &tokens,
                              const std::vector<int32_t> &pages,
                              const std::string &salt);

  /// Frees up to `numPages` pages that nobody but the tree holds, least
  /// recently used first and the end of an edge before its beginning. Returns
  /// how many.
  int64_t evict(int64_t numPages);

  /// Forgets whatever begins with the first page of `tokens`, also if it is in
  /// use: who holds its pages keeps them. Returns how many pages it forgot.
  int64_t remove(const Tokens &tokens, const std::string &salt);
  void clear();

  int64_t numPages() const;
  int64_t numEvictablePages() const;
  std::vector<int64_t> pages() const;
  std::vector<RadixNode> nodes() const;
  // [/interface]

  /// Throws IntegrityError unless this is the tree that the banner describes.
  void checkIntegrity() const;

  const std::shared_ptr<KVCachePool> pool;

private:
  struct Node {
    Tokens tokens;
    std::vector<int32_t> pages;
    Node *parent = nullptr;
    std::map<Tokens, std::unique_ptr<Node>> children; ///< by their first page
    uint64_t lastUse = 0;

    bool isRoot() const { return !parent; }
    bool isLeaf() const { return children.empty(); }
  };
  /// How far a walk from the root came.
  struct Path {
    Node *last;
    std::vector<int32_t> pages;
  };

  Tokens pageAt(const Tokens &tokens, size_t page) const;
  Path walk(Node &root, const Tokens &tokens);
  Node *split(Node *node, size_t numPages);
  void touch(Node *node, uint64_t now);
  void attach(Node *node, Tokens tokens, std::vector<int32_t> pages);
  void requireNew(std::vector<int32_t> pages) const;
  int64_t forget(std::unique_ptr<Node> node);
  void dropLeaf(Node *leaf);
  void dropEmptyRoots();

  mutable std::mutex mutex;
  // A map and not a hash table: no choice of tokens makes it slow.
  std::map<std::string, Node> roots;            ///< by salt
  std::set<std::pair<uint64_t, Node *>> leaves; ///< least recently used first
  std::vector<bool> isCached;                   ///< [pages of the pool]
  int64_t numCached = 0;
  uint64_t clock = 0;
};

} // namespace ch16
