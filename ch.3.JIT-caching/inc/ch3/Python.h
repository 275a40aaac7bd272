// Python.h - cache_info() and clear_cache() of a module.
#pragma once

#include "ch3/Cache.h"

#include <pybind11/pybind11.h>

namespace ch3 {

/// Makes the named tuple that cache_info() returns, as `m`.CacheInfo.
inline pybind11::object makeCacheInfoType(pybind11::module_ &m) {
  pybind11::object Info =
      pybind11::module_::import("collections")
          .attr("namedtuple")("CacheInfo",
                              "hits misses compile_seconds size capacity");
  Info.attr("__module__") = m.attr("__name__");
  m.attr("CacheInfo") = Info;
  return Info;
}

inline pybind11::object toPython(const pybind11::object &Info,
                                 const CacheInfo &info) {
  return Info(info.hits, info.misses, info.compileSeconds, info.size,
              info.capacity);
}

// [bind]
/// Adds cache_info() and clear_cache() to `m`. `cache` has info() and clear(),
/// and is never destroyed.
template <typename Cache> void bindCache(pybind11::module_ &m, Cache &cache) {
  using Unlocked = pybind11::call_guard<pybind11::gil_scoped_release>;
  pybind11::object Info = makeCacheInfoType(m);
  m.def(
      "cache_info", [&cache, Info] { return toPython(Info, cache.info()); },
      "How often compiled code was there (hits) or had to be made (misses), "
      "the seconds that took, and how much is kept, of how much at most.");
  m.def(
      "clear_cache", [&cache] { cache.clear(); }, Unlocked(),
      "Forgets all compiled code and sets the counters to 0. Calls that are "
      "running end well.");
}
// [/bind]

} // namespace ch3
