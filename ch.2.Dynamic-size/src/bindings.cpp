// bindings.cpp - the Python module ch2_dynamic_size.
//
// One compiled function for all shapes: compiled at the first call, and
// reached there through two doors, @gemm and @_mlir_ciface_gemm.
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch2/Gemm.h"
#include "ch2/Strided.h"

#include <optional>

namespace py = pybind11;
namespace ch2 {

namespace {

/// This chapter's module, compiled at the first call and kept (as in ch.1).
const ch1::Jit &compiledModule() {
  static const ch1::Jit &jit = *new ch1::Jit(*ch1::Lowered(recipe()).module);
  return jit;
}

// [lookup]
GemmFunction lookupGemm(const ch1::Jit &jit) {
  return reinterpret_cast<GemmFunction>(jit.lookup("gemm"));
}

GemmCInterface lookupCInterface(const ch1::Jit &jit) {
  return reinterpret_cast<GemmCInterface>(jit.lookup("_mlir_ciface_gemm"));
}
// [/lookup]

py::array gemmOfThisChapter(py::handle a, py::handle b) {
  return gemm(a, b, [] {
    static const GemmFunction function = lookupGemm(compiledModule());
    return function;
  });
}

py::array gemmCiface(py::handle a, py::handle b) {
  return gemmByDescriptors(a, b, [] {
    static const GemmCInterface function = lookupCInterface(compiledModule());
    return function;
  });
}

/// A function of the reader's IR: (A, B) -> C. It owns the machine code.
py::cpp_function compiled(const std::string &text) {
  std::shared_ptr<const ch1::Jit> jit;
  {
    py::gil_scoped_release release;
    jit =
        std::make_shared<const ch1::Jit>(*ch1::Lowered(recipe(), text).module);
  }
  GemmFunction function = lookupGemm(*jit);
  return py::cpp_function(
      [jit, function](py::handle a, py::handle b) {
        return gemm(a, b, [=] { return function; });
      },
      py::name("gemm"), py::arg("A"), py::arg("B"));
}

py::array run(const std::string &text, py::handle a, py::handle b) {
  std::optional<ch1::Jit> jit; // lives until the call is over
  return gemm(a, b, [&] {
    jit.emplace(*ch1::Lowered(recipe(), text).module);
    return lookupGemm(*jit);
  });
}

py::dict descriptor(py::handle object) {
  py::array array = ch1::checkArray(object, "array", "float32",
                                    {ch1::kAnySize, ch1::kAnySize});
  MatrixDescriptor fields = describe(describable(array));
  py::dict result;
  result["allocated"] = reinterpret_cast<intptr_t>(fields.allocated);
  result["aligned"] = reinterpret_cast<intptr_t>(fields.aligned);
  result["offset"] = fields.offset;
  result["sizes"] = py::make_tuple(fields.sizes[0], fields.sizes[1]);
  result["strides"] = py::make_tuple(fields.strides[0], fields.strides[1]);
  return result;
}

intptr_t address(const std::string &function) {
  py::gil_scoped_release release;
  return reinterpret_cast<intptr_t>(compiledModule().lookup(function));
}

} // namespace

} // namespace ch2

PYBIND11_MODULE(ch2_dynamic_size, m) {
  using namespace ch2;
  m.doc() =
      "Chapter 2: one compiled matrix product for all shapes and strides.";
  ch1::bindCompileError(m);
  m.def("gemm", &gemmOfThisChapter, py::arg("A"), py::arg("B"),
        R"(gemm(A, B) -> C = A @ B

A: float32 [M, K]; B: float32 [K, N]; any sizes, also 0; any strides. Returns a
new float32 [M, N]. TypeError for another dtype or kind, ValueError for another
rank or where B has not as many rows as A has columns. Compiles at the first
call, once for all shapes.)");
  m.def("gemm_ciface", &gemmCiface, py::arg("A"), py::arg("B"),
        R"(gemm_ciface(A, B) -> C = A @ B

The same function, called through _mlir_ciface_gemm with the addresses of three
descriptors.)");
  m.def(
      "descriptor", &descriptor, py::arg("array"),
      R"(descriptor(array) -> {"allocated", "aligned", "offset", "sizes", "strides"}

What gemm hands over for a float32 matrix; strides are counted in elements. For
an array that gemm copies it is the descriptor of such a copy, which is gone
when you read it.)");
  m.def("run", &run, py::arg("ir"), py::arg("A"), py::arg("B"),
        R"(run(ir, A, B) -> C

Lowers, compiles and calls the @gemm of IR that you wrote or changed. It must
have the type that ir() shows. CompileError with MLIR's diagnostics where it
cannot be compiled. IR that reads or writes outside its arguments crashes
Python.)");
  m.def("compiled", &compiled, py::arg("ir"),
        R"(compiled(ir) -> a function (A, B) -> C

run() in two steps, to call IR of yours more than once.)");
  m.def("address", &address, py::arg("function") = "gemm",
        R"(address(function="gemm") -> int

Where the machine code of @gemm begins, or of "_mlir_ciface_gemm".)");
  ch1::bindInspection(m, &recipe);
}
