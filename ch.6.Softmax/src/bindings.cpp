// bindings.cpp - the Python module ch6_softmax.
//
//   array [n] or [rows, n] -> check -> descriptors -> @softmax -> array
//
// Last step of the chapter. Each pair of a function and a lowering is compiled
// when it is first asked for, and kept in ch.3's cache.
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch1/Jit.h"
#include "ch2/Strided.h"
#include "ch3/Cache.h"
#include "ch3/Python.h"
#include "ch6/Softmax.h"

#include <memory>

namespace py = pybind11;
using ch1::Text;

namespace ch6 {

namespace {

ch1::Recipe recipe(const std::string &lowering, const std::string &kernel) {
  Lowering way = parseLowering(lowering);
  checkKernel(kernel);
  return {kernel, kernelType, registerDialects,
          [kernel](mlir::MLIRContext *context) {
            return buildKernel(context, kernel);
          },
          [way](mlir::PassManager &passes) { buildLowering(passes, way); }};
}

/// Takes the descriptors of X and Y.
using KernelFunction = void (*)(void *X, void *Y);

/// One function in machine code.
struct Compiled {
  ch1::Jit jit;
  KernelFunction function;

  Compiled(mlir::ModuleOp module, const std::string &kernel)
      : jit(module), function(reinterpret_cast<KernelFunction>(
                         jit.lookup("_mlir_ciface_" + kernel))) {}
};

ch3::Cache<Compiled> &cache() {
  static auto &cache = *new ch3::Cache<Compiled>(); // stays, as in ch.3
  return cache;
}

/// Never called with the GIL held: it may wait for another thread's compile.
std::shared_ptr<const Compiled> compiled(const std::string &lowering,
                                         const std::string &kernel,
                                         const Text &text) {
  std::string key = lowering + " " + kernel + (text ? "\n" + *text : "");
  return cache().get(key, [&] {
    ch1::Lowered lowered(recipe(lowering, kernel), text);
    return std::make_shared<const Compiled>(*lowered.module, kernel);
  });
}

/// A vector as a matrix of one row: the same memory, the same stride.
py::array asRows(const py::array &x) {
  if (x.ndim() == 2)
    return x;
  return py::array(x.dtype(), {py::ssize_t(1), x.shape(0)},
                   {py::ssize_t(0), x.strides(0)}, x.data(), /*base=*/x);
}

py::array call(py::handle object, const std::string &lowering,
               const std::string &kernel, const Text &text = {}) {
  parseLowering(lowering); // its sentence comes first
  checkKernel(kernel);
  py::array x = ch1::checkArray(object, "x", "float32");
  if (x.ndim() != 1 && x.ndim() != 2)
    throw py::value_error("x: expected shape (any,) or (any, any), got " +
                          ch1::shapeText(ch1::shapeOf(x)));
  py::array_t<float> y(ch1::shapeOf(x));
  py::array rowsX = asRows(ch2::describable(x)), rowsY = asRows(y);
  ch1::Descriptor descX(rowsX), descY(rowsY);
  {
    py::gil_scoped_release release;
    compiled(lowering, kernel, text)->function(descX.get(), descY.get());
  }
  return std::move(y);
}

/// softmax and its variants: the same but for the kernel.
void bindKernel(py::module_ &m, const char *kernel, const std::string &what) {
  std::string doc = "(x, lowering=\"polynomial\") -> " + what + R"(

x: float32 [n] or [rows, n], row by row; any strides. Returns a new float32
array of x's shape. lowering: how math.exp is lowered, "polynomial", "llvm" or
"libm". TypeError for another dtype or kind, ValueError for another rank or
lowering. Compiles at the first call of each lowering.)";
  m.def(
      kernel,
      [kernel](py::handle x, const std::string &lowering) {
        return call(x, lowering, kernel);
      },
      py::arg("x"), py::arg("lowering") = "polynomial", doc.c_str());
}

} // namespace

} // namespace ch6

PYBIND11_MODULE(ch6_softmax, m) {
  using namespace ch6;
  m.doc() = "Chapter 6: softmax, and three ways down from an exponential.";
  ch1::bindCompileError(m);
  bindKernel(m, "softmax", "exp(x - max) / sum, with a vector of sums");
  bindKernel(m, "scalar_softmax", "the same, one element at a time");
  bindKernel(m, "naive_softmax",
             "exp(x) / sum, which overflows above 88: for comparison");
  bindKernel(m, "exp", "exp(x)");
  m.def(
      "run",
      [](const std::string &text, py::handle x, const std::string &lowering,
         const std::string &kernel) { return call(x, lowering, kernel, text); },
      py::arg("ir"), py::arg("x"), py::arg("lowering") = "polynomial",
      py::arg("kernel") = "softmax",
      R"(run(ir, x, lowering="polynomial", kernel="softmax") -> y

Lowers, compiles and calls the function named `kernel` of IR that you wrote or
changed. It must have the type that ir() shows. CompileError with MLIR's
diagnostics where it cannot be compiled. IR that reads or writes outside its
arguments crashes Python.)");
  ch1::bindInspection(m, &recipe, py::arg("lowering") = "polynomial",
                      py::arg("kernel") = "softmax");
  ch3::bindCache(m, cache());
}
