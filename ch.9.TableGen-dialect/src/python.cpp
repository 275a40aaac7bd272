//===- python.cpp - the Python names around expressions -------------------===//
//
// Every chapter's module has its own Tensor class (module_local), bound by the
// same lines: an expression belongs to the module that made it, because that
// module's compiler knows its ops. What + * @ make, the chapter says.
//
//===----------------------------------------------------------------------===//

#include "ch9/Python.h"

#include "ch3/Python.h"

namespace py = pybind11;

namespace ch9 {

// [to-tensor]
Tensor toTensor(py::handle object, const std::string &name) {
  if (py::isinstance<Tensor>(object))
    return object.cast<Tensor>();
  if (!py::isinstance<py::array>(object))
    throw py::type_error(
        name + ": expected a Tensor or a NumPy array of float32, got " +
        py::type::of(object).attr("__name__").cast<std::string>());
  py::array array = ch1::checkArray(object, name, "float32");
  if (array.ndim() < 1 || array.ndim() > 3)
    throw py::value_error(name + ": expected rank 1 to 3, got shape " +
                          ch1::shapeText(ch1::shapeOf(array)));
  return leaf(array);
}
// [/to-tensor]

static bool isNumber(const py::object &object) {
  return py::isinstance<py::float_>(object) || py::isinstance<py::int_>(object);
}

void bindTensorClass(py::module_ &m,
                     const std::function<Compiler &()> &compiler,
                     const Operators &operators) {
  ch1::bindCompileError(m);
  py::class_<Tensor> cls(m, "Tensor", py::module_local(),
                         "A value that is not computed yet: an array, or the "
                         "result of an op on other values.");
  cls.def(py::init(
              [](const py::object &array) { return toTensor(array, "array"); }),
          py::arg("array"),
          "Tensor(array): float32, rank 1 to 3, any strides. The array is read "
          "when a result is computed, and never written.");
  cls.def_property_readonly("shape", [](const Tensor &t) {
    py::tuple shape(t.rank());
    for (int64_t i = 0; i < t.rank(); ++i)
      shape[i] = t.shape()[i];
    return shape;
  });
  cls.def(
      "numpy", [=](const Tensor &t) { return forward(compiler(), t); },
      "Computes the value: the same as forward(tensor).");
  cls.def("__repr__", [](const Tensor &t) {
    return "Tensor(shape=" + ch1::shapeText(t.shape()) +
           ", op=" + (t->op.empty() ? "leaf" : t->op) + ")";
  });

  // NumPy leaves the operators to us, also where its array is on the left.
  cls.attr("__array_ufunc__") = py::none();
  auto [add, mul, matmul, scale] = operators;
  cls.def("__add__", [add = add](const Tensor &a, const py::object &b) {
    return add(a, toTensor(b, "b"));
  });
  cls.def("__radd__", [add = add](const Tensor &b, const py::object &a) {
    return add(toTensor(a, "a"), b);
  });
  // A number scales, where the chapter can; anything else must be a value.
  cls.def("__mul__",
          [mul = mul, scale = scale](const Tensor &a, const py::object &b) {
            return scale && isNumber(b) ? scale(a, b.cast<float>())
                                        : mul(a, toTensor(b, "b"));
          });
  cls.def("__rmul__",
          [mul = mul, scale = scale](const Tensor &b, const py::object &a) {
            return scale && isNumber(a) ? scale(b, a.cast<float>())
                                        : mul(toTensor(a, "a"), b);
          });
  cls.def("__matmul__",
          [matmul = matmul](const Tensor &a, const py::object &b) {
            return matmul(a, toTensor(b, "b"));
          });
  cls.def("__rmatmul__",
          [matmul = matmul](const Tensor &b, const py::object &a) {
            return matmul(toTensor(a, "a"), b);
          });
}

void bindTensor(py::module_ &m, Compiler &compiler,
                const Operators &operators) {
  std::function<Compiler &()> choose = [&compiler]() -> Compiler & {
    return compiler;
  };
  bindTensorClass(m, choose, operators);
  bindCalls(m, choose);
  ch3::bindCache(m, compiler);
}

void bindUnary(py::module_ &m, const char *name, Tensor (*op)(const Tensor &),
               const char *argument, const char *doc) {
  m.def(
      name, [=](const py::object &x) { return op(toTensor(x, argument)); },
      py::arg(argument), doc);
}

void bindBinary(py::module_ &m, const char *name,
                Tensor (*op)(const Tensor &a, const Tensor &b),
                const char *doc) {
  m.def(
      name,
      [=](const py::object &a, const py::object &b) {
        return op(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"), doc);
}

} // namespace ch9
