// arrays.cpp - NumPy arrays, checked and described for compiled functions.
#include "ch1/Arrays.h"
#include "ch1/Diagnostics.h"

#include <map>

namespace py = pybind11;
using llvm::ArrayRef;

namespace ch1 {

std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") +
            (shape[i] == kAnySize ? "any" : std::to_string(shape[i]));
  return text + (shape.size() == 1 ? ",)" : ")");
}

llvm::SmallVector<int64_t> shapeOf(const py::array &array) {
  return llvm::SmallVector<int64_t>(array.shape(),
                                    array.shape() + array.ndim());
}

/// NumPy's name of a dtype of native numbers, "" for any other. Each call of a
/// chapter asks this for every argument, so it runs no Python.
static std::string nameOf(const py::dtype &dtype) {
  char order = dtype.byteorder();
  if (order != '=' && order != '|') // native, or a single byte
    return "";
  std::string bits = std::to_string(8 * dtype.itemsize());
  switch (dtype.kind()) {
  case 'f':
    return "float" + bits;
  case 'i':
    return "int" + bits;
  case 'u':
    return "uint" + bits;
  case 'b':
    return "bool";
  }
  return "";
}

py::array checkArray(py::handle object, const std::string &name,
                     const std::string &dtype) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(
        name + ": expected a NumPy array of " + dtype + ", got " +
        py::type::of(object).attr("__name__").cast<std::string>());
  auto array = py::reinterpret_borrow<py::array>(object);
  if (nameOf(array.dtype()) != dtype)
    throw py::type_error(name + ": expected an array of " + dtype +
                         ", got one of " +
                         py::str(array.dtype()).cast<std::string>());
  return array;
}

// [check]
py::array checkArray(py::handle object, const std::string &name,
                     const std::string &dtype, ArrayRef<int64_t> shape) {
  py::array array = checkArray(object, name, dtype);
  bool matches = array.ndim() == static_cast<py::ssize_t>(shape.size());
  for (size_t i = 0; matches && i < shape.size(); ++i)
    matches = shape[i] == kAnySize || array.shape(i) == shape[i];
  if (!matches)
    throw py::value_error(name + ": expected shape " + shapeText(shape) +
                          ", got " + shapeText(shapeOf(array)));
  return array;
}
// [/check]

py::array contiguous(const py::array &array) {
  auto &numpy = py::detail::npy_api::get();
  int wanted = py::array::c_style | numpy.NPY_ARRAY_ALIGNED_;
  if ((array.flags() & wanted) == wanted)
    return array;
  PyObject *copy =
      numpy.PyArray_FromAny_(array.ptr(), nullptr, 0, 0,
                             wanted | numpy.NPY_ARRAY_ENSUREARRAY_, nullptr);
  if (!copy)
    throw py::error_already_set(); // no memory
  return py::reinterpret_steal<py::array>(copy);
}

Descriptor::Descriptor(const py::array &array) {
  auto data = reinterpret_cast<int64_t>(array.data());
  words = {data, data, /*offset=*/0};
  words.append(array.shape(), array.shape() + array.ndim());
  for (py::ssize_t i = 0; i < array.ndim(); ++i)
    words.push_back(array.strides(i) / array.itemsize());
}

Descriptor::Descriptor(void *data, ArrayRef<int64_t> sizes) {
  auto address = reinterpret_cast<int64_t>(data);
  words = {address, address, /*offset=*/0};
  words.append(sizes.begin(), sizes.end());
  words.resize(3 + 2 * sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i])
    words[3 + sizes.size() + i] = stride;
}

void bindCompileError(py::module_ &m) {
  // Local: each extension has its own C++ class, and translates only that.
  py::register_local_exception<CompileError>(m, "CompileError",
                                             PyExc_RuntimeError);
}

// [python-names]
void bindPythonNames(
    py::module_ &m,
    const std::vector<std::pair<std::string, std::vector<std::string>>>
        &files) {
  std::map<std::string, std::string> homes;
  for (const auto &[file, names] : files)
    for (const std::string &name : names)
      homes[name] = file;
  auto own = m.attr("__name__").cast<std::string>();
  m.def("__getattr__", [homes, own](const std::string &name) {
    auto home = homes.find(name);
    if (home == homes.end())
      throw py::attribute_error("module '" + own + "' has no attribute '" +
                                name + "'");
    return py::module_::import(home->second.c_str()).attr(name.c_str());
  });
  m.def("__dir__", [homes, own] {
    py::list names(py::module_::import(own.c_str()).attr("__dict__"));
    for (const auto &[name, file] : homes)
      names.append(name);
    return names;
  });
}
// [/python-names]

} // namespace ch1
