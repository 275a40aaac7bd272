//===- radix_cache.cpp - walk, split, insert, evict -----------------------===//
//
// A split keeps the lower half in the old node, so that a leaf stays the leaf
// it was, in the same place of the order of eviction:
//
//   parent ── [1 2 3 4 5 6] node        parent ── [1 2] upper ── [3 4 5 6] node
//
// Memory that runs out (std::bad_alloc) leaves the tree whole: whatever
// allocates comes first, and what moves pointers comes after.
//
//===----------------------------------------------------------------------===//
#include "ch16/RadixCache.h"

#include <algorithm>
#include <stdexcept>

namespace ch16 {

static std::string str(int64_t number) { return std::to_string(number); }

/// The pool names pages by 64-bit numbers.
static std::vector<int64_t> wide(const std::vector<int32_t> &pages) {
  return std::vector<int64_t>(pages.begin(), pages.end());
}

RadixCache::RadixCache(std::shared_ptr<KVCachePool> of)
    : pool(std::move(of)), isCached(pool->shape.numPages, false) {}

RadixCache::~RadixCache() { clear(); }

Tokens RadixCache::pageAt(const Tokens &tokens, size_t page) const {
  auto first = tokens.begin() + page * pool->shape.pageSize;
  return Tokens(first, first + pool->shape.pageSize);
}

//===----------------------------------------------------------------------===//
// Walking
//===----------------------------------------------------------------------===//

// [walk]
RadixCache::Path RadixCache::walk(Node &root, const Tokens &tokens) {
  const size_t pageSize = pool->shape.pageSize;
  const size_t numPages = tokens.size() / pageSize;
  const uint64_t now = ++clock;
  Path path{&root, {}};
  for (size_t at = 0; at < numPages;) {
    auto found = path.last->children.find(pageAt(tokens, at));
    if (found == path.last->children.end())
      break;
    Node *child = found->second.get();

    size_t equal = 1; // the first page is: that is how we found the child
    while (equal < child->pages.size() && at + equal < numPages &&
           std::equal(child->tokens.begin() + equal * pageSize,
                      child->tokens.begin() + (equal + 1) * pageSize,
                      tokens.begin() + (at + equal) * pageSize))
      ++equal;
    if (equal < child->pages.size())
      child = split(child, equal);
    touch(child, now);
    path.pages.insert(path.pages.end(), child->pages.begin(),
                      child->pages.end());
    path.last = child;
    at += equal;
  }
  return path;
}
// [/walk]

RadixCache::Node *RadixCache::split(Node *node, size_t numPages) {
  const size_t numTokens = numPages * pool->shape.pageSize;
  auto upper = std::make_unique<Node>();
  upper->tokens.assign(node->tokens.begin(), node->tokens.begin() + numTokens);
  upper->pages.assign(node->pages.begin(), node->pages.begin() + numPages);
  upper->parent = node->parent;
  upper->lastUse = node->lastUse;
  Tokens tokensBelow(node->tokens.begin() + numTokens, node->tokens.end());
  std::vector<int32_t> pagesBelow(node->pages.begin() + numPages,
                                  node->pages.end());
  auto &below = upper->children[pageAt(tokensBelow, 0)];
  auto &place = node->parent->children.find(pageAt(node->tokens, 0))->second;

  node->tokens.swap(tokensBelow);
  node->pages.swap(pagesBelow);
  node->parent = upper.get();
  below = std::move(place);
  place = std::move(upper);
  return place.get();
}

void RadixCache::touch(Node *node, uint64_t now) {
  if (node->isLeaf()) {
    auto entry = leaves.extract({node->lastUse, node});
    entry.value().first = now;
    leaves.insert(std::move(entry));
  }
  node->lastUse = now;
}

std::vector<int32_t> RadixCache::matchPrefix(const Tokens &tokens,
                                             const std::string &salt) {
  std::lock_guard<std::mutex> lock(mutex);
  auto root = roots.find(salt);
  if (root == roots.end())
    return {};
  std::vector<int32_t> pages = walk(root->second, tokens).pages;
  pool->share(wide(pages));
  return pages;
}

//===----------------------------------------------------------------------===//
// Growing
//===----------------------------------------------------------------------===//

// [insert]
std::vector<int32_t> RadixCache::insert(const Tokens &tokens,
                                        const std::vector<int32_t> &pages,
                                        const std::string &salt) {
  const size_t pageSize = pool->shape.pageSize;
  if (tokens.size() != pages.size() * pageSize)
    throw std::invalid_argument(
        str(pages.size()) + " pages of " + str(pageSize) + " tokens hold " +
        str(pages.size() * pageSize) + " tokens, got " + str(tokens.size()));
  if (pages.empty())
    return {};
  std::lock_guard<std::mutex> lock(mutex);
  pool->share(wide(pages)); // refuses a page that nobody holds

  // Of what the tree has already, the caller gets the tree's page for its own;
  // it gives back its own and what we have just shared.
  std::vector<int32_t> result;
  std::vector<int64_t> taken, given;
  try {
    Path path = walk(roots[salt], tokens);
    result = path.pages;
    for (size_t i = 0; i < path.pages.size(); ++i) {
      given.push_back(pages[i]);
      if (path.pages[i] != pages[i]) {
        given.push_back(pages[i]);
        taken.push_back(path.pages[i]);
      }
    }
    std::vector<int32_t> added(pages.begin() + result.size(), pages.end());
    requireNew(added);
    Tokens rest(tokens.end() - added.size() * pageSize, tokens.end());
    result.insert(result.end(), added.begin(), added.end());
    if (!added.empty())
      attach(path.last, std::move(rest), std::move(added));
  } catch (...) {
    pool->free(wide(pages));
    dropEmptyRoots();
    throw;
  }
  pool->share(taken);
  pool->free(given);
  return result;
}
// [/insert]

void RadixCache::requireNew(std::vector<int32_t> pages) const {
  std::sort(pages.begin(), pages.end());
  auto twice = std::adjacent_find(pages.begin(), pages.end());
  if (twice != pages.end())
    throw std::invalid_argument("page " + str(*twice) +
                                " is named twice in pages");
  for (int32_t page : pages)
    if (isCached[page])
      throw std::invalid_argument("page " + str(page) +
                                  " is in the tree already, for other tokens");
}

/// Lengthens a leaf, or gives the node a new child.
void RadixCache::attach(Node *node, Tokens tokens, std::vector<int32_t> pages) {
  if (node->isLeaf() && !node->isRoot()) {
    node->pages.reserve(node->pages.size() + pages.size());
    node->tokens.insert(node->tokens.end(), tokens.begin(), tokens.end());
    node->pages.insert(node->pages.end(), pages.begin(), pages.end());
  } else {
    auto child = std::make_unique<Node>();
    child->tokens = std::move(tokens);
    child->pages = pages;
    child->parent = node;
    child->lastUse = clock;
    auto entry = leaves.emplace(clock, child.get()).first;
    try {
      node->children.emplace(pageAt(child->tokens, 0), nullptr)
          .first->second.swap(child);
    } catch (...) {
      leaves.erase(entry);
      throw;
    }
  }
  for (int32_t page : pages)
    isCached[page] = true;
  numCached += int64_t(pages.size());
}

//===----------------------------------------------------------------------===//
// Shrinking
//===----------------------------------------------------------------------===//

// [evict]
int64_t RadixCache::evict(int64_t wanted) {
  std::lock_guard<std::mutex> lock(mutex);
  int64_t numFreed = 0;
  for (auto next = leaves.begin(); next != leaves.end() && numFreed < wanted;) {
    Node *leaf = next->second;
    while (!leaf->pages.empty() && numFreed < wanted &&
           pool->refCount(leaf->pages.back()) == 1) { // ours alone
      pool->free({leaf->pages.back()});
      isCached[leaf->pages.back()] = false;
      leaf->pages.pop_back();
      leaf->tokens.resize(leaf->tokens.size() - pool->shape.pageSize);
      --numCached;
      ++numFreed;
    }
    if (!leaf->pages.empty()) {
      ++next; // in use from here up
      continue;
    }
    dropLeaf(leaf);
    next = leaves.begin(); // the node above may be a leaf now, and older
  }
  dropEmptyRoots();
  return numFreed;
}
// [/evict]

/// Takes a leaf, whose pages are gone, out of the tree. The key it is found by
/// was its first page's tokens, so we look for the pointer.
void RadixCache::dropLeaf(Node *leaf) {
  Node *parent = leaf->parent;
  leaves.erase({leaf->lastUse, leaf});
  auto &siblings = parent->children;
  siblings.erase(
      std::find_if(siblings.begin(), siblings.end(), [leaf](const auto &entry) {
        return entry.second.get() == leaf;
      }));
  if (parent->isLeaf() && !parent->isRoot())
    leaves.emplace(parent->lastUse, parent);
}

void RadixCache::dropEmptyRoots() {
  for (auto root = roots.begin(); root != roots.end();)
    root = root->second.isLeaf() ? roots.erase(root) : std::next(root);
}

/// Gives up a node and all below it. A loop, because a tree may be deep.
int64_t RadixCache::forget(std::unique_ptr<Node> node) {
  int64_t numForgotten = 0;
  std::vector<std::unique_ptr<Node>> pending;
  pending.push_back(std::move(node));
  while (!pending.empty()) {
    std::unique_ptr<Node> next = std::move(pending.back());
    pending.pop_back();
    if (next->isLeaf())
      leaves.erase({next->lastUse, next.get()});
    for (auto &entry : next->children)
      pending.push_back(std::move(entry.second));
    pool->free(wide(next->pages));
    for (int32_t page : next->pages)
      isCached[page] = false;
    numForgotten += int64_t(next->pages.size());
  }
  numCached -= numForgotten;
  return numForgotten;
}

int64_t RadixCache::remove(const Tokens &tokens, const std::string &salt) {
  std::lock_guard<std::mutex> lock(mutex);
  auto root = roots.find(salt);
  if (root == roots.end() || int64_t(tokens.size()) < pool->shape.pageSize)
    return 0;
  auto found = root->second.children.find(pageAt(tokens, 0));
  if (found == root->second.children.end())
    return 0;
  std::unique_ptr<Node> node = std::move(found->second);
  root->second.children.erase(found);
  int64_t numForgotten = forget(std::move(node));
  dropEmptyRoots();
  return numForgotten;
}

void RadixCache::clear() {
  std::lock_guard<std::mutex> lock(mutex);
  for (auto &root : roots)
    for (auto &entry : root.second.children)
      forget(std::move(entry.second));
  roots.clear();
}

//===----------------------------------------------------------------------===//
// Looking
//===----------------------------------------------------------------------===//

int64_t RadixCache::numPages() const {
  std::lock_guard<std::mutex> lock(mutex);
  return numCached;
}

int64_t RadixCache::numEvictablePages() const {
  std::lock_guard<std::mutex> lock(mutex);
  return pool->numHeldOnce(isCached);
}

std::vector<int64_t> RadixCache::pages() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<int64_t> result;
  for (size_t page = 0; page < isCached.size(); ++page)
    if (isCached[page])
      result.push_back(int64_t(page));
  return result;
}

std::vector<RadixNode> RadixCache::nodes() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<RadixNode> result;
  for (const auto &[salt, root] : roots) {
    std::vector<std::pair<const Node *, int64_t>> pending{{&root, -1}};
    while (!pending.empty()) {
      auto [node, parent] = pending.back();
      pending.pop_back();
      int64_t index = -1;
      if (!node->isRoot()) {
        index = int64_t(result.size());
        int64_t numInUse = 0;
        for (int32_t page : node->pages)
          numInUse += pool->refCount(page) > 1;
        result.push_back(
            {salt, parent, node->tokens, node->pages, numInUse, node->lastUse});
      }
      for (auto child = node->children.rbegin(); child != node->children.rend();
           ++child)
        pending.push_back({child->second.get(), index});
    }
  }
  return result;
}

void RadixCache::checkIntegrity() const {
  std::lock_guard<std::mutex> lock(mutex);
  auto require = [](bool holds, const std::string &otherwise) {
    if (!holds)
      throw IntegrityError("the radix cache: " + otherwise);
  };
  std::vector<bool> seen(isCached.size(), false);
  int64_t numSeen = 0;
  size_t numLeaves = 0;
  std::vector<const Node *> pending;
  for (const auto &root : roots) {
    require(root.second.pages.empty() && root.second.tokens.empty(),
            "a root holds pages");
    require(!root.second.isLeaf(), "a root without children is kept");
    pending.push_back(&root.second);
  }
  while (!pending.empty()) {
    const Node *node = pending.back();
    pending.pop_back();
    bool aboveInUse = true;
    for (int32_t page : node->pages) {
      require(!seen[page], "page " + str(page) + " is twice in the tree");
      seen[page] = true;
      ++numSeen;
      int32_t holders = pool->refCount(page);
      require(holders >= 1, "page " + str(page) + " is in the tree and free");
      require(holders == 1 || aboveInUse,
              "page " + str(page) + " is in use, and the one above it is not");
      aboveInUse = holders > 1;
    }
    for (const auto &[key, child] : node->children) {
      require(child->parent == node, "a node does not know its parent");
      require(!child->pages.empty(), "a node has no pages");
      require(child->tokens.size() ==
                  child->pages.size() * pool->shape.pageSize,
              str(child->pages.size()) + " pages have " +
                  str(child->tokens.size()) + " tokens");
      require(key == pageAt(child->tokens, 0),
              "a node is not found by its first page");
      require(node->isRoot() || child->lastUse <= node->lastUse,
              "a node was used after the one above it");
      require(node->isRoot() || pool->refCount(child->pages[0]) == 1 ||
                  aboveInUse,
              "page " + str(child->pages[0]) +
                  " is in use, and the one above it is not");
      pending.push_back(child.get());
    }
    if (node->isLeaf()) {
      ++numLeaves;
      require(leaves.count({node->lastUse, const_cast<Node *>(node)}) == 1,
              "a leaf is not in the order of eviction");
    }
  }
  require(numLeaves == leaves.size(),
          str(int64_t(numLeaves)) + " leaves, and " +
              str(int64_t(leaves.size())) + " in the order of eviction");
  require(seen == isCached && numSeen == numCached,
          str(numSeen) + " pages are in the tree, and " + str(numCached) +
              " are counted");
}

} // namespace ch16
