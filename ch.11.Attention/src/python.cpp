//===- python.cpp - the Python names that ch.11 to ch.14 share ------------===//
//
// Every chapter's module has its own Tensor class (module_local), bound by the
// same lines: an expression belongs to the module that made it, because that
// module's compiler knows its ops.
//
//===----------------------------------------------------------------------===//

#include "ch11/Python.h"

#include "ch1/Diagnostics.h"
#include "ch11/Ops.h"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace ch11 {

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

/// Compiling can take seconds: other Python threads run meanwhile.
template <typename Fn> static auto withoutGil(Fn fn) {
  py::gil_scoped_release release;
  return fn();
}

static void bindTensorClass(py::module_ &m, Compiler &compiler) {
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
      "numpy", [&compiler](const Tensor &t) { return forward(compiler, t); },
      "Computes the value: the same as forward(tensor).");
  cls.def("__repr__", [](const Tensor &t) {
    return "Tensor(shape=" + ch1::shapeText(t.shape()) +
           ", op=" + (t->op.empty() ? "leaf" : t->op) + ")";
  });

  // A number scales; anything else must be a value. NumPy leaves the operators
  // to us, also where its array is on the left.
  cls.attr("__array_ufunc__") = py::none();
  auto times = [](const Tensor &a, const py::object &b) {
    if (py::isinstance<py::float_>(b) || py::isinstance<py::int_>(b))
      return scale(a, b.cast<float>());
    return mul(a, toTensor(b, "b"));
  };
  cls.def("__add__", [](const Tensor &a, const py::object &b) {
    return add(a, toTensor(b, "b"));
  });
  cls.def("__radd__", [](const Tensor &b, const py::object &a) {
    return add(toTensor(a, "a"), b);
  });
  cls.def("__mul__", times);
  cls.def("__rmul__", [times](const Tensor &b, const py::object &a) {
    bool number = py::isinstance<py::float_>(a) || py::isinstance<py::int_>(a);
    return number ? times(b, a) : mul(toTensor(a, "a"), b);
  });
  cls.def("__matmul__", [](const Tensor &a, const py::object &b) {
    return matmul(a, toTensor(b, "b"));
  });
  cls.def("__rmatmul__", [](const Tensor &b, const py::object &a) {
    return matmul(toTensor(a, "a"), b);
  });
}

static void bindOps(py::module_ &m) {
  m.def(
      "add",
      [](const py::object &a, const py::object &b) {
        return add(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"),
      "a + b; b has a's shape, or is a vector added to every row.");
  m.def(
      "mul",
      [](const py::object &a, const py::object &b) {
        return mul(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"), "a * b, element by element; shapes as add.");
  m.def(
      "matmul",
      [](const py::object &a, const py::object &b) {
        return matmul(toTensor(a, "a"), toTensor(b, "b"));
      },
      py::arg("a"), py::arg("b"),
      "a @ b: [M, K] x [K, N] -> [M, N], or the same for H pairs.");
  m.def(
      "transpose",
      [](const py::object &t) { return transpose(toTensor(t, "t")); },
      py::arg("t"), "Swaps the last two axes.");
  m.def(
      "softmax", [](const py::object &t) { return softmax(toTensor(t, "t")); },
      py::arg("t"), "Softmax over the last axis.");
  m.def(
      "scale",
      [](const py::object &t, float factor) {
        return scale(toTensor(t, "t"), factor);
      },
      py::arg("t"), py::arg("factor"), "t times a number.");
}

static void bindReading(py::module_ &m, Compiler &compiler) {
  m.def(
      "ir",
      [&compiler](const py::object &tensor) {
        Tensor t = toTensor(tensor, "tensor");
        Graph graph(t);
        return withoutGil([&] { return compiler.ir(graph); });
      },
      py::arg("tensor"), "The IR of the expression, as it is built.");
  m.def(
      "stages",
      [&compiler](const py::object &tensor) {
        Tensor t = toTensor(tensor, "tensor");
        Graph graph(t);
        auto stages = withoutGil([&] { return compiler.stages(graph); });
        std::vector<std::pair<std::string, std::string>> result;
        for (ch1::Stage &stage : stages)
          result.emplace_back(std::move(stage.pass), std::move(stage.ir));
        return result;
      },
      py::arg("tensor"),
      "[(pass name, IR after it)], the first being (\"input\", ir(tensor)).");
  m.def(
      "llvm_ir",
      [&compiler](const py::object &tensor) {
        Tensor t = toTensor(tensor, "tensor");
        Graph graph(t);
        return withoutGil([&] { return compiler.llvmIR(graph); });
      },
      py::arg("tensor"), "The optimized LLVM IR of the compiled function.");
  m.def(
      "assembly",
      [&compiler](const py::object &tensor) {
        Tensor t = toTensor(tensor, "tensor");
        Graph graph(t);
        return withoutGil([&] { return compiler.assembly(graph); });
      },
      py::arg("tensor"),
      "The assembly of the compiled function on this machine.");
}

static void bindCache(py::module_ &m, Compiler &compiler) {
  py::object CacheInfoType =
      py::module_::import("collections")
          .attr("namedtuple")("CacheInfo", "hits misses compile_seconds "
                                           "size capacity");
  CacheInfoType.attr("__module__") = m.attr("__name__");
  m.attr("CacheInfo") = CacheInfoType;
  m.def(
      "cache_info",
      [&compiler, CacheInfoType] {
        CacheInfo info = compiler.info();
        return CacheInfoType(info.hits, info.misses, info.compileSeconds,
                             info.size, info.capacity);
      },
      "How often a structure was known (hits) or compiled (misses), the "
      "seconds that took, and how many programs are kept, of how many at "
      "most.");
  m.def(
      "clear_cache", [&compiler] { compiler.clear(); },
      "Forgets all compiled programs and sets the counters to 0.");
}

void bindTensor(py::module_ &m, Compiler &compiler) {
  ch1::bindCompileError(m);
  bindTensorClass(m, compiler);
  bindOps(m);
  m.def(
      "forward",
      [&compiler](const py::object &tensor) {
        return forward(compiler, toTensor(tensor, "tensor"));
      },
      py::arg("tensor"),
      "Computes an expression: compiles its structure once, then calls it. "
      "Returns a new array.");
  bindCache(m, compiler);
  bindReading(m, compiler);
}

} // namespace ch11
