// Arguments.h - numbers from Python, or a sentence that says what came instead.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ch16 {

inline std::string typeName(pybind11::handle value) {
  return pybind11::str(pybind11::type::handle_of(value).attr("__name__"));
}

/// A whole number (int, or NumPy's) that fits 64 bits.
inline int64_t toInt(pybind11::handle value, const std::string &name) {
  PyObject *index =
      PyBool_Check(value.ptr()) ? nullptr : PyNumber_Index(value.ptr());
  if (!index) {
    PyErr_Clear();
    throw pybind11::type_error(name + " must be an int, got " +
                               typeName(value));
  }
  auto number = pybind11::reinterpret_steal<pybind11::int_>(index);
  int overflow = 0;
  int64_t result = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow)
    throw pybind11::value_error(name + " must fit a 64-bit integer, got " +
                                std::string(pybind11::str(number)));
  return result;
}

inline std::vector<int64_t> toPages(pybind11::handle value,
                                    const std::string &name = "pages") {
  if (!pybind11::isinstance<pybind11::sequence>(value) &&
      !pybind11::isinstance<pybind11::array>(value))
    throw pybind11::type_error(
        name + " must be a sequence of page numbers, got " + typeName(value));
  std::vector<int64_t> pages;
  for (pybind11::handle item : value)
    pages.push_back(
        toInt(item, name + "[" + std::to_string(pages.size()) + "]"));
  return pages;
}

/// Adds RadixCache to the module; after KVCachePool.
void bindRadixCache(pybind11::module_ &m);

/// Adds the functions of Sampling.h.
void bindSampling(pybind11::module_ &m);

} // namespace ch16
