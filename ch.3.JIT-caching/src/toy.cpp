// toy.cpp - the cache with Python objects in it.
//
//   cache = ch3.Cache(capacity=2)
//   cache.get("a", lambda: 1)
//
// The same template as that of the programs. Values and make() are Python's
// here, so this file is about one thing: who holds the GIL. Nobody may wait
// with it held, and nobody may touch an object without it.
#include "ch3/Toy.h"
#include "ch3/Python.h"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace ch3 {

namespace {

/// An object that any thread may drop.
class Held {
public:
  explicit Held(py::object object) : object(std::move(object)) {}
  ~Held() {
    py::gil_scoped_acquire locked;
    object = {};
  }
  py::object get() const { return object; }

private:
  py::object object;
};

/// What make() raised, to be raised by each thread that waited for it.
struct Raised {
  std::shared_ptr<const Held> error;
};

class Toy {
public:
  explicit Toy(size_t capacity) : cache(capacity) {}

  py::object get(const std::string &key, const py::function &make) {
    try {
      Cache<Held>::Pointer value;
      {
        py::gil_scoped_release unlocked; // before the wait
        value = cache.get(key, [&] { return call(make); });
      }
      return value->get();
    } catch (const Raised &raised) {
      py::object error = raised.error->get();
      PyErr_SetObject(py::type::of(error).ptr(), error.ptr());
      throw py::error_already_set();
    }
  }

  CacheInfo info() const { return cache.info(); }
  void clear() { cache.clear(); }

private:
  static Cache<Held>::Pointer call(const py::function &make) {
    py::gil_scoped_acquire locked;
    try {
      return std::make_shared<const Held>(make());
    } catch (py::error_already_set &error) {
      throw Raised{std::make_shared<const Held>(error.value())};
    }
  }

  Cache<Held> cache;
};

} // namespace

void bindToy(py::module_ &m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::object Info = m.attr("CacheInfo");
  py::class_<Toy>(m, "Cache",
                  "The cache of this chapter with Python objects in it.")
      .def(py::init<size_t>(), py::arg("capacity") = 64)
      .def("get", &Toy::get, py::arg("key"), py::arg("make"),
           "The value of key; make() returns it where it is not there.")
      .def(
          "info", [Info](const Toy &toy) { return toPython(Info, toy.info()); },
          "hits, misses, seconds in make(), size and capacity.")
      .def("clear", &Toy::clear, Unlocked(), "Forgets everything.");
}

} // namespace ch3
