//===- radix_bindings.cpp - the radix cache as Python sees it -------------===//
//
// Tokens and pages come as lists of numbers, salts as text. A page that
// match_prefix or insert returns is held by the caller, who gives it back by
// KVCachePool.free.
//
//===----------------------------------------------------------------------===//
#include "ch16/Arguments.h"
#include "ch16/RadixCache.h"

#include <pybind11/stl.h>

#include <limits>

namespace py = pybind11;
using ch16::KVCachePool;
using ch16::RadixCache;
using ch16::RadixNode;
using ch16::toInt;
using ch16::Tokens;
using ch16::typeName;

/// A sequence of 32-bit numbers: `name` is "tokens" or "pages".
static std::vector<int32_t> toNumbers(py::handle value,
                                      const std::string &name) {
  if (py::isinstance<py::str>(value) || py::isinstance<py::bytes>(value) ||
      (!py::isinstance<py::sequence>(value) &&
       !py::isinstance<py::array>(value)))
    throw py::type_error(name + " must be a sequence of ints, got " +
                         typeName(value));
  std::vector<int32_t> numbers;
  numbers.reserve(py::len(value));
  for (py::handle item : value) {
    // The common case without its name, which only a mistake needs.
    int overflow = 0;
    int64_t number =
        PyLong_CheckExact(item.ptr())
            ? PyLong_AsLongLongAndOverflow(item.ptr(), &overflow)
            : toInt(item, name + "[" + std::to_string(numbers.size()) + "]");
    if (overflow || number < 0 || number > std::numeric_limits<int32_t>::max())
      throw py::value_error(name + "[" + std::to_string(numbers.size()) +
                            "] must be between 0 and 2147483647, got " +
                            std::string(py::str(item)));
    numbers.push_back(int32_t(number));
  }
  return numbers;
}

static std::string toSalt(py::handle value) {
  if (!py::isinstance<py::str>(value))
    throw py::type_error("salt must be a str, got " + typeName(value));
  Py_ssize_t size = 0;
  const char *text = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (!text) // half a surrogate pair, say
    throw py::error_already_set();
  return std::string(text, size);
}

static py::dict toDict(const RadixNode &node) {
  py::dict dict;
  dict["salt"] = node.salt;
  dict["parent"] = node.parent < 0 ? py::object(py::none())
                                   : py::object(py::int_(node.parent));
  dict["tokens"] = node.tokens;
  dict["pages"] = node.pages;
  dict["num_pages_in_use"] = node.numPagesInUse;
  dict["last_use"] = node.lastUse;
  return dict;
}

void ch16::bindRadixCache(py::module_ &m) {
  py::class_<RadixCache>(
      m, "RadixCache",
      "A radix tree over tokens with edges of whole pages of a KVCachePool.\n\n"
      "The tree is one holder of each of its pages. A page with another holder "
      "is in use and never evicted.")
      .def(py::init([](std::shared_ptr<KVCachePool> pool) {
             return std::make_unique<RadixCache>(std::move(pool));
           }),
           py::arg("pool").none(false))
      .def(
          "match_prefix",
          [](RadixCache &c, py::object tokens, py::object salt) {
            return c.matchPrefix(toNumbers(tokens, "tokens"), toSalt(salt));
          },
          py::arg("tokens"), py::arg("salt") = "",
          "The pages of the longest known prefix of tokens, in whole pages. "
          "The caller holds them: pool.free gives them back.")
      .def(
          "insert",
          [](RadixCache &c, py::object tokens, py::object pages,
             py::object salt) {
            return c.insert(toNumbers(tokens, "tokens"),
                            toNumbers(pages, "pages"), toSalt(salt));
          },
          py::arg("tokens"), py::arg("pages"), py::arg("salt") = "",
          "Remembers that pages, which the caller holds, have the keys and "
          "values of tokens. Returns the pages that hold them now: the tree's "
          "own where it had them, and the caller's copy is given back.")
      .def(
          "evict",
          [](RadixCache &c, py::object n) {
            int64_t numPages = toInt(n, "num_pages");
            if (numPages < 0)
              throw py::value_error("num_pages must be at least 0, got " +
                                    std::to_string(numPages));
            return c.evict(numPages);
          },
          py::arg("num_pages"),
          "Frees up to so many pages that nobody else holds, least recently "
          "used first; returns how many.")
      .def(
          "remove",
          [](RadixCache &c, py::object tokens, py::object salt) {
            return c.remove(toNumbers(tokens, "tokens"), toSalt(salt));
          },
          py::arg("tokens"), py::arg("salt") = "",
          "Forgets whatever begins with the first page of tokens; returns how "
          "many pages that were. Who holds them keeps them.")
      .def("clear", &RadixCache::clear, "Forgets everything.")
      .def_property_readonly("num_pages", &RadixCache::numPages)
      .def_property_readonly("num_evictable_pages",
                             &RadixCache::numEvictablePages,
                             "Pages that nobody but the tree holds.")
      .def("pages", &RadixCache::pages, "The pages of the tree, ascending.")
      .def(
          "nodes",
          [](RadixCache &c) {
            py::list nodes;
            for (const RadixNode &node : c.nodes())
              nodes.append(toDict(node));
            return nodes;
          },
          "The edges of the tree from the top, each a dict: salt, parent (an "
          "index, or None), tokens, pages, num_pages_in_use, last_use (a "
          "count of operations).")
      .def("check_integrity", &RadixCache::checkIntegrity,
           "Raises IntegrityError unless the tree is whole and the pool knows "
           "of its pages.")
      .def("__repr__", [](RadixCache &c) {
        return "<RadixCache: " + std::to_string(c.numPages()) + " pages, " +
               std::to_string(c.numEvictablePages()) + " of them in no use>";
      });
}
