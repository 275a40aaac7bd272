// bindings.cpp - the Python module ch7_neural_ops.
//
//   g.add(x, y)                   a node          graph.cpp
//   g.get_mlir(v, "f")            its IR          ir.cpp
//   g.compile(v, "f")             a function      lowering.cpp, jit.cpp
//   execute_generic(f, [...], s)  a result        jit.cpp, call.cpp
//
// Last step of the chapter: what Python calls, and what of it is refused before
// any of the above is reached.
#include "ch7/Program.h"

#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch3/Python.h"

#include <stdexcept>

namespace py = pybind11;
namespace ch7 {

namespace {

std::string typeName(py::handle object) {
  return py::type::of(object).attr("__name__").cast<std::string>();
}

/// A tuple or a list. An array is neither: it would be taken apart row by row.
py::sequence toSequence(py::handle object, const std::string &what,
                        const std::string &of) {
  if (!py::isinstance<py::tuple>(object) && !py::isinstance<py::list>(object))
    throw py::type_error(what + ": expected a list or a tuple of " + of +
                         ", got " + typeName(object));
  return py::reinterpret_borrow<py::sequence>(object);
}

/// Integers of Python or NumPy. Their values are checked by who uses them.
Shape toShape(py::handle object, const std::string &what) {
  Shape shape;
  for (py::handle size : toSequence(object, what, "integers")) {
    if (!PyIndex_Check(size.ptr()) || py::isinstance<py::bool_>(size))
      throw py::type_error(what + ": expected integers, got " + typeName(size));
    Py_ssize_t value = PyNumber_AsSsize_t(size.ptr(), PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      throw py::value_error(what + ": " + py::str(size).cast<std::string>() +
                            " is no size");
    }
    shape.push_back(value);
  }
  return shape;
}

py::tuple toTuple(const Shape &shape) {
  py::tuple tuple(shape.size());
  for (size_t i = 0; i < shape.size(); ++i)
    tuple[i] = shape[i];
  return tuple;
}

const GraphValue &toValue(py::handle object, const std::string &what) {
  if (!py::isinstance<GraphValue>(object))
    throw py::type_error(what + ": expected a value of a graph, got " +
                         typeName(object));
  return object.cast<const GraphValue &>();
}

// [binary]
/// A method of Graph of two values, with names for errors: "add: b".
template <GraphValue (Graph::*op)(const GraphValue &, const GraphValue &)>
auto binary(const std::string &name) {
  return [name](Graph &graph, py::handle a, py::handle b) {
    return (graph.*op)(toValue(a, name + ": a"), toValue(b, name + ": b"));
  };
}
// [/binary]

template <GraphValue (Graph::*op)(const GraphValue &)>
auto unary(const std::string &name) {
  return [name](Graph &graph, py::handle x) {
    return (graph.*op)(toValue(x, name + ": x"));
  };
}

const Node &own(const Graph &graph, const GraphValue &value) {
  graph.checkOwn(value, "value");
  return *value.node;
}

/// What ch.1's ir(), stages(), llvm_ir() and assembly() start from.
ch1::Recipe recipeOf(const Graph &graph, const GraphValue &value,
                     const std::string &name, bool fuse) {
  return recipe(own(graph, value), name, fuse);
}

std::string getMlir(const Graph &graph, py::handle object,
                    const std::string &name) {
  const Node &node = own(graph, toValue(object, "value"));
  py::gil_scoped_release release;
  return ch1::print(*ch1::Built(recipe(node, name, /*fuse=*/true)).module);
}

Function compile(const Graph &graph, py::handle object, const std::string &name,
                 const ch1::Text &ir, bool fuse) {
  const GraphValue &value = toValue(object, "value");
  own(graph, value);
  py::gil_scoped_release release;
  return Function(value, name, ir, fuse);
}

// [execute]
py::array executeGeneric(py::handle fn, py::handle arrays,
                         py::handle outShape) {
  if (!py::isinstance<Function>(fn))
    throw py::type_error("fn: expected what Graph.compile() returns, got " +
                         typeName(fn));
  const auto &function = fn.cast<const Function &>();
  py::sequence list = toSequence(arrays, "arrays", "NumPy arrays");
  Shape shape = toShape(outShape, "out_shape");
  if (shape != function.resultShape)
    throw py::value_error("out_shape: expected " +
                          ch1::shapeText(function.resultShape) +
                          ", the shape of " + function.signature() + ", got " +
                          py::str(outShape).cast<std::string>());
  return function(list);
}
// [/execute]

py::list words(py::handle object) {
  py::array array =
      ch1::contiguous(ch1::checkArray(object, "array", "float32"));
  ch1::Descriptor descriptor(array);
  py::list list;
  for (size_t i = 0; i < numWords(array.ndim()); ++i)
    list.append(static_cast<const int64_t *>(descriptor.get())[i]);
  return list;
}

void bindGraph(py::module_ &m) {
  py::class_<GraphValue>(m, "Value", py::module_local(),
                         "A node of a graph: what its methods take and return.")
      .def_property_readonly(
          "shape", [](const GraphValue &v) { return toTuple(v.node->shape); })
      .def("__repr__",
           [](const GraphValue &v) { return "<" + nodeText(*v.node) + ">"; });

  py::class_<Function>(
      m, "Function", py::module_local(),
      "A compiled value, from Graph.compile(). Needs its graph "
      "no more; may be called from several threads.")
      .def_readonly("name", &Function::name)
      .def_property_readonly(
          "result_shape",
          [](const Function &f) { return toTuple(f.resultShape); })
      .def_property_readonly("argument_shapes",
                             [](const Function &f) {
                               py::list shapes;
                               for (const auto &argument : f.arguments)
                                 shapes.append(toTuple(argument.shape));
                               return py::tuple(shapes);
                             })
      .def(
          "__call__",
          [](const Function &f, const py::args &arrays) { return f(arrays); },
          "fn(*arrays) -> array: execute_generic without the shape.")
      .def("__repr__", [](const Function &f) {
        return "<compiled " + f.signature() + ">";
      });

  py::class_<Graph, std::shared_ptr<Graph>>(
      m, "Graph", py::module_local(),
      "A computation on float32 arrays, written down value by value. Values "
      "belong to the graph that made them.")
      .def(py::init<>())
      .def(
          "variable",
          [](Graph &graph, py::handle shape) {
            return graph.variable(toShape(shape, "shape"));
          },
          py::arg("shape"),
          "An argument of the functions that are compiled: 1 to 3 sizes, each "
          "0 or more.")
      .def("add", binary<&Graph::add>("add"), py::arg("a"), py::arg("b"),
           "a + b. b has a's shape, or is a row that is added to each row of "
           "a.")
      .def("mul", binary<&Graph::mul>("mul"), py::arg("a"), py::arg("b"),
           "a * b, element by element; shapes as in add.")
      .def("matmul", binary<&Graph::matmul>("matmul"), py::arg("a"),
           py::arg("b"), "a @ b: [M, K] x [K, N], or [B, M, K] x [B, K, N].")
      .def("relu", unary<&Graph::relu>("relu"), py::arg("x"),
           "max(x, 0); NaN stays NaN.")
      .def("softmax", unary<&Graph::softmax>("softmax"), py::arg("x"),
           "Softmax over the last axis.")
      .def(
          "get_mlir", &getMlir, py::arg("value"), py::arg("name") = "main",
          R"(The IR of @name: from the variables that `value` needs, in the order in which
they were made, to `value`. Variables it does not need are not arguments.)")
      .def("compile", &compile, py::arg("value"), py::arg("name") = "main",
           py::kw_only(), py::arg("ir") = py::none(), py::arg("fuse") = true,
           R"(compile(value, name) -> Function

The function of get_mlir(value, name), from the cache where the same IR was
compiled before. fuse=False leaves every op its own loops. With `ir`, that text
is compiled in place of the graph's: it must define @name with the same type.
CompileError where it cannot be. IR that reads or writes outside its arguments
crashes Python, as such code does in any language without checks.)")
      .def("__len__", &Graph::size)
      .def("__repr__", [](const Graph &graph) {
        return "<Graph of " + std::to_string(graph.size()) + " values>";
      });
}

} // namespace
} // namespace ch7

PYBIND11_MODULE(ch7_neural_ops, m) {
  using namespace ch7;
  m.doc() = "Chapter 7: a graph of operations, compiled as one function.";
  ch1::bindCompileError(m);
  bindGraph(m);
  m.def("execute_generic", &executeGeneric, py::arg("fn"), py::arg("arrays"),
        py::arg("out_shape"),
        R"(execute_generic(fn, arrays, out_shape) -> array

Calls what Graph.compile() returned on a list of float32 arrays, one for each
variable that the value needs, in the order in which the variables were made.
out_shape must be the shape of the value. TypeError for a wrong kind or dtype,
ValueError for a wrong number or shape.)");
  m.def(
      "words", &words, py::arg("array"),
      "The 64-bit arguments that stand for an array in a call: two addresses, "
      "an offset, sizes, strides. (Of a copy in C order, where it is not.)");
  ch1::bindInspection(m, &recipeOf, py::arg("graph"), py::arg("value"),
                      py::arg("name") = "main", py::arg("fuse") = true);
  ch3::bindCache(m, cache());
}
