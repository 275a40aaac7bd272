// Cache.h - values that are expensive to make, made once for each key.
//
//   get(key, make) --+-- there ---------------------> value        a hit
//                    +-- being made: wait ----------> value        a hit
//                    +-- new: make() ---------------> value        a miss
//
// It is here for compiled functions, but knows nothing of compiling. What is
// left out: a cache that outlives the process (ch3/DiskCache.h), and weights
// (each value counts as one, however large).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>

namespace ch3 {

/// What a cache has done since it was made or cleared.
struct CacheInfo {
  int64_t hits = 0;          // calls answered with a value made by another call
  int64_t misses = 0;        // calls that made their value
  double compileSeconds = 0; // what the misses took, together
  size_t size = 0;           // values kept, or being made at this moment
  size_t capacity = 0;       // at most so many are kept
};

/// Values by key. All members may be called from several threads at once.
///
/// - Threads that ask for one key together make its value once: the first one
///   makes it, the others wait. Different keys are made side by side.
/// - Where make() throws, all who waited for it get the same exception, nothing
///   stays behind, and the next call tries again. Nothing is counted.
/// - Beyond `capacity` values, the one asked for longest ago is forgotten.
/// - Forgetting (also by clear()) ends nothing that is in use: who got a value
///   holds it, and the last holder frees it.
///
/// Never call with the GIL held: the thread that is waited for may want it.
template <typename Value, typename Key = std::string> class Cache {
public:
  using Pointer = std::shared_ptr<const Value>;

  explicit Cache(size_t capacity = 64) : capacity(capacity) {}

  // [get]
  /// The value of `key`; `make()` returns it as a Pointer where it is not
  /// there.
  template <typename Make> Pointer get(const Key &key, Make make) {
    std::unique_lock<std::mutex> guard(lock);
    uint64_t now = ++clock;
    auto found = slots.find(key);
    if (found != slots.end()) {
      found->second.lastUse = now;
      Slot slot = found->second;
      guard.unlock();
      return wait(slot);
    }
    // We are the first: leave a promise for those who come while we make it.
    std::promise<Pointer> promise;
    slots[key] = {promise.get_future().share(), std::this_thread::get_id(), now,
                  now};
    guard.unlock();

    try {
      auto start = std::chrono::steady_clock::now();
      Pointer value = make();
      std::chrono::duration<double> seconds =
          std::chrono::steady_clock::now() - start;
      countMiss(seconds.count());
      promise.set_value(value);
      return value;
    } catch (...) {
      forget(key, /*made=*/now);
      promise.set_exception(std::current_exception());
      throw;
    }
  }
  // [/get]

  CacheInfo info() const {
    std::lock_guard<std::mutex> guard(lock);
    CacheInfo info = counters;
    info.size = slots.size();
    info.capacity = capacity;
    return info;
  }

  // [clear]
  /// Forgets all values and sets the counters to 0.
  void clear() {
    Slots forgotten; // freed at the end, after the lock is open again
    std::lock_guard<std::mutex> guard(lock);
    forgotten.swap(slots);
    counters = {};
  }
  // [/clear]

private:
  // [slot]
  /// A key's place in the table, from the moment its value is begun.
  struct Slot {
    std::shared_future<Pointer> value;
    std::thread::id maker;
    uint64_t made, lastUse; // times on `clock`; no two slots have one `made`
  };
  // [/slot]
  using Slots = std::unordered_map<Key, Slot>;

  // [wait]
  /// The value that another call made or is making.
  Pointer wait(const Slot &slot) {
    bool ready = slot.value.wait_for(std::chrono::seconds(0)) ==
                 std::future_status::ready;
    if (!ready && slot.maker == std::this_thread::get_id())
      throw std::logic_error("make() asks for the key that it is making");
    Pointer value = slot.value.get(); // waits; throws what make() threw
    std::lock_guard<std::mutex> guard(lock);
    ++counters.hits;
    return value;
  }
  // [/wait]

  // [shrink]
  /// A value was made. Where there are too many now, the one asked for longest
  /// ago goes. To find it we look at all: that is nothing beside a compile.
  void countMiss(double seconds) {
    typename Slots::node_type forgotten; // freed after the lock is open again
    std::lock_guard<std::mutex> guard(lock);
    ++counters.misses;
    counters.compileSeconds += seconds;
    if (slots.size() > capacity)
      forgotten = slots.extract(std::min_element(
          slots.begin(), slots.end(), [](const auto &a, const auto &b) {
            return a.second.lastUse < b.second.lastUse;
          }));
  }
  // [/shrink]

  /// Takes our own slot out, and not one that came after a clear().
  void forget(const Key &key, uint64_t made) {
    std::lock_guard<std::mutex> guard(lock);
    auto found = slots.find(key);
    if (found != slots.end() && found->second.made == made)
      slots.erase(found);
  }

  const size_t capacity;
  mutable std::mutex lock; // guards what follows; never held while making
  Slots slots;
  uint64_t clock = 0; // one tick a call
  CacheInfo counters; // size and capacity are filled in by info()
};

} // namespace ch3
