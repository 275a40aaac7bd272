// Toy.h - the cache with Python objects in it.
#pragma once

#include <pybind11/pybind11.h>

namespace ch3 {

/// Adds the class Cache to `m`: ch3::Cache with any Python object as a value,
/// to try and to test what the cache does without compiling anything.
void bindToy(pybind11::module_ &m);

} // namespace ch3
