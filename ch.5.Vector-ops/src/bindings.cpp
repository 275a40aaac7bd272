// bindings.cpp - the Python module ch5_vector_ops.
//
//   alpha, arrays -> check -> float, descriptors -> _mlir_ciface_saxpy -> array
//
// Last step of the chapter. What is compiled is kept in ch.3's cache, under the
// kernel's name or under the text that a reader gives.
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch1/Jit.h"
#include "ch3/Cache.h"
#include "ch3/Python.h"
#include "ch5/Saxpy.h"

#include <chrono>
#include <memory>
#include <string>

namespace py = pybind11;
using ch1::Text;

namespace ch5 {

namespace {

// [recipe]
ch1::Recipe recipe(const std::string &kernel) {
  auto build = [kernel](mlir::MLIRContext *context) {
    return buildSaxpy(context, kernel);
  };
  return {"saxpy", saxpyType, registerDialects, build, buildLowering};
}
// [/recipe]

/// A scalar is passed as C passes a float, in a register. Only memrefs have
/// descriptors.
using SaxpyFunction = void (*)(float alpha, void *A, void *B, void *C);

/// @saxpy in machine code.
struct Compiled {
  ch1::Jit jit;
  SaxpyFunction function;

  explicit Compiled(mlir::ModuleOp module)
      : jit(module), function(reinterpret_cast<SaxpyFunction>(
                         jit.lookup("_mlir_ciface_saxpy"))) {}
};

ch3::Cache<Compiled> &cache() {
  static auto &cache = *new ch3::Cache<Compiled>(); // stays, as in ch.3
  return cache;
}

/// Never called with the GIL held: it may wait for another thread's compile.
std::shared_ptr<const Compiled> compiled(const std::string &kernel,
                                         const Text &text) {
  return cache().get(text.value_or(kernel), [&] {
    ch1::Lowered lowered(recipe(kernel), text);
    return std::make_shared<const Compiled>(*lowered.module);
  });
}

// [number]
/// `object` as a float32. A number is what Python calls one (numbers.Real):
/// NumPy's scalars are, arrays and strings are not.
float checkNumber(py::handle object, const std::string &name) {
  if (!PyFloat_Check(object.ptr()) &&
      !py::isinstance(object, py::module_::import("numbers").attr("Real")))
    throw py::type_error(
        name + ": expected a number, got " +
        py::type::of(object).attr("__name__").cast<std::string>());
  double value = PyFloat_AsDouble(object.ptr());
  if (value == -1.0 && PyErr_Occurred()) {
    PyErr_Clear();
    throw py::value_error(name + ": expected a number that a float can hold");
  }
  return static_cast<float>(value);
}
// [/number]

// [out]
/// Where the result goes: a new array, or the one that the caller gives.
py::array checkOut(py::handle out, int64_t n) {
  if (out.is_none())
    return py::array_t<float>(n);
  py::array array = ch1::checkArray(out, "out", "float32", {n});
  if (!array.writeable() || ch1::contiguous(array).ptr() != array.ptr())
    throw py::value_error("out: expected an array that can be written, aligned "
                          "and in C order");
  return array;
}

/// An input as the kernels want it: in C order, and either exactly the memory
/// of `out` or none of it. They write C[i] when they are done with A[i] and
/// B[i], but perhaps not with A[i + 1].
py::array input(const py::array &array, const py::array &out) {
  py::array inOrder = ch1::contiguous(array);
  auto begin = reinterpret_cast<uintptr_t>(inOrder.data());
  auto outBegin = reinterpret_cast<uintptr_t>(out.data());
  uintptr_t bytes = inOrder.nbytes(); // both have as many
  bool overlaps = begin < outBegin + bytes && outBegin < begin + bytes;
  if (overlaps && begin != outBegin)
    return inOrder.attr("copy")();
  return inOrder;
}
// [/out]

// [call]
/// The arguments of one call, checked.
struct Call {
  float alpha;
  py::array A, B, C;

  Call(py::handle alpha, py::handle a, py::handle b, py::handle out)
      : alpha(checkNumber(alpha, "alpha")),
        A(ch1::checkArray(a, "A", "float32", {ch1::kAnySize})),
        B(ch1::checkArray(b, "B", "float32", {A.shape(0)})),
        C(checkOut(out, A.shape(0))) {
    A = input(A, C);
    B = input(B, C);
  }

  /// Calls the kernel `times` times; returns the seconds that took.
  double run(const std::string &kernel, const Text &text, int64_t times = 1) {
    ch1::Descriptor descA(A), descB(B), descC(C);
    py::gil_scoped_release release;
    auto saxpy = compiled(kernel, text);
    auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < times; ++i)
      saxpy->function(alpha, descA.get(), descB.get(), descC.get());
    std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    return seconds.count();
  }
};
// [/call]

/// saxpy, saxpy_linalg, saxpy_vector: the same but for the kernel.
void bindKernel(py::module_ &m, const char *name, std::string kernel) {
  m.def(
      name,
      [kernel](py::handle alpha, py::handle a, py::handle b, py::handle out) {
        Call call(alpha, a, b, out);
        call.run(kernel, {});
        return std::move(call.C);
      },
      py::arg("alpha"), py::arg("A"), py::arg("B"), py::arg("out") = py::none(),
      R"((alpha, A, B, out=None) -> alpha * A + B

alpha: a number, rounded to float32. A, B: float32 [n], any n, any strides (what
is not in C order is copied first). Returns a new float32 [n], or out, where that
is given: float32 [n] in C order, which may be A or B itself. Equal to NumPy's
alpha * A + B to the last bit. TypeError for another dtype or kind, ValueError
for another rank or length. Compiles at the first call.)");
}

} // namespace

} // namespace ch5

PYBIND11_MODULE(ch5_vector_ops, m) {
  using namespace ch5;
  m.doc() = "Chapter 5: alpha * A + B, by a loop, by linalg and by vectors.";
  ch1::bindCompileError(m);
  bindKernel(m, "saxpy", "scf");
  bindKernel(m, "saxpy_linalg", "linalg");
  bindKernel(m, "saxpy_vector", "vector");
  m.def(
      "run",
      [](const std::string &text, py::handle alpha, py::handle a, py::handle b,
         py::handle out) {
        Call call(alpha, a, b, out);
        call.run("scf", text);
        return std::move(call.C);
      },
      py::arg("ir"), py::arg("alpha"), py::arg("A"), py::arg("B"),
      py::arg("out") = py::none(),
      R"(run(ir, alpha, A, B, out=None) -> C

Lowers, compiles and calls the @saxpy of IR that you wrote or changed. It must
have the type that ir() shows. CompileError with MLIR's diagnostics where it
cannot be compiled. IR that reads or writes outside its arguments crashes Python.)");
  m.def(
      "measure",
      [](int64_t times, py::handle alpha, py::handle a, py::handle b,
         py::handle out, const std::string &kernel, const Text &text) {
        if (times < 1)
          throw py::value_error("times: expected at least 1, got " +
                                std::to_string(times));
        Call call(alpha, a, b, out);
        return call.run(kernel, text, times);
      },
      py::arg("times"), py::arg("alpha"), py::arg("A"), py::arg("B"),
      py::arg("out"), py::arg("kernel") = "scf", py::arg("ir") = py::none(),
      R"(measure(times, alpha, A, B, out, kernel="scf", ir=None) -> seconds

Calls the compiled function so many times in a row, without Python in between,
and returns the seconds that all calls took together.)");
  ch1::bindInspection(m, &recipe, py::arg("kernel") = "scf");
  ch3::bindCache(m, cache());
}
