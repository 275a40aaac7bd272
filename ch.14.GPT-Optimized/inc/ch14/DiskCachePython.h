// DiskCachePython.h - ch.3's disk cache as a Python class.
#pragma once

#include <pybind11/pybind11.h>

namespace ch14 {

/// Adds the class DiskCache to `m`.
void bindDiskCache(pybind11::module_ &m);

} // namespace ch14
