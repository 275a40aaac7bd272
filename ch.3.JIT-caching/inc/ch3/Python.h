// Python.h - cache_info() and clear_cache() of a module.
#pragma once

#include "ch3/Cache.h"

#include <pybind11/pybind11.h>

namespace ch3 {

// [bind]
/// Adds cache_info() and clear_cache() to `m`. `cache` has info() and clear()
/// and is never destroyed.
template <typename Cache> void bindCache(pybind11::module_ &m, Cache &cache) {
  namespace py = pybind11;
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::object Info =
      py::module_::import("collections")
          .attr("namedtuple")("CacheInfo", "hits misses compile_seconds size "
                                           "capacity");
  Info.attr("__module__") = m.attr("__name__");
  m.attr("CacheInfo") = Info;
  m.def(
      "cache_info",
      [&cache, Info] {
        CacheInfo info = cache.info();
        return Info(info.hits, info.misses, info.compileSeconds, info.size,
                    info.capacity);
      },
      "How often compiled code was there (hits) or had to be made (misses), "
      "the seconds that took, and how much is kept, of how much at most.");
  m.def(
      "clear_cache", [&cache] { cache.clear(); }, Unlocked(),
      "Forgets all compiled code and sets the counters to 0. Calls that are "
      "running end well.");
}
// [/bind]

} // namespace ch3
