// disk_cache.cpp - ch.3's disk cache as a Python class.
#include "ch1/Arrays.h"
#include "ch14/DiskCachePython.h"
#include "ch3/DiskCache.h"

#include <memory>
#include <pybind11/stl.h>

namespace py = pybind11;
using ch3::DiskCache;
using ch3::FileBytes;

namespace ch14 {

/// Weights are checked as fast as they are read.
static constexpr ch3::Check kCheck = ch3::Check::Blocks;

/// The bytes as an array that owns them and cannot be written.
static py::object get(DiskCache &cache, const std::string &key,
                      const std::string &kind) {
  std::optional<FileBytes> found;
  {
    py::gil_scoped_release release;
    if (auto bytes = cache.get(key, kind, kCheck))
      found.emplace(std::move(*bytes));
  }
  if (!found)
    return py::none();
  auto *kept = new FileBytes(std::move(*found));
  py::capsule owner(kept, [](void *p) { delete static_cast<FileBytes *>(p); });
  py::array_t<uint8_t> array(
      kept->bytes().size(),
      reinterpret_cast<const uint8_t *>(kept->bytes().data()), owner);
  array.attr("flags").attr("writeable") = false;
  return array;
}

static bool put(DiskCache &cache, const std::string &key,
                const std::string &kind, const py::object &object) {
  py::array array = ch1::checkArray(object, "bytes", "uint8", {ch1::kAnySize});
  if (!(array.flags() & py::array::c_style))
    throw py::value_error("bytes: expected an array in C order");
  llvm::ArrayRef<char> bytes(static_cast<const char *>(array.data()),
                             array.size());
  py::gil_scoped_release release;
  return cache.put(key, kind, kCheck, bytes);
}

void bindDiskCache(py::module_ &m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::class_<DiskCache, std::shared_ptr<DiskCache>>(
      m, "DiskCache", py::module_local(),
      "Bytes by key, in a folder that only this user can write in. A disk "
      "that\n"
      "cannot be used, or an entry that is not whole and this user's own, is "
      "no\n"
      "error but a miss.")
      .def(py::init<std::string, uint64_t>(), py::arg("folder"),
           py::arg("limit"),
           "limit: bytes that the folder may hold; beyond, what was used "
           "longest "
           "ago goes.")
      .def("get", &get, py::arg("key"), py::arg("kind"),
           "The bytes that were stored for this text: uint8, read-only; or "
           "None.")
      .def("put", &put, py::arg("key"), py::arg("kind"), py::arg("bytes"),
           "Stores an array of uint8. Returns whether it is stored.")
      .def("clear", &DiskCache::clear, Unlocked(),
           "Removes all entries; returns how many there were.")
      .def(
          "info",
          [](DiskCache &cache) {
            ch3::DiskCacheInfo info;
            {
              py::gil_scoped_release release;
              info = cache.info();
            }
            py::dict result;
            result["hits"] = info.hits;
            result["misses"] = info.misses;
            result["rejected"] = info.rejected;
            result["entries"] = info.entries;
            result["bytes"] = info.bytes;
            result["problem"] = info.problem;
            return result;
          },
          "Counters of this object, and what all processes have in the folder.")
      .def_property_readonly(
          "folder", [](const DiskCache &cache) { return cache.folder; })
      .def_property_readonly(
          "limit", [](const DiskCache &cache) { return cache.limit; });
}

} // namespace ch14
