// bindings.cpp - the Python module ch1_fixed_size.
//
//   array -> check -> descriptor -> _mlir_ciface_gemm -> array
//
// Last step of the chapter: what Python calls. Compiling happens at the first
// call, once, whichever thread comes first.
#include "ch1/Arrays.h"
#include "ch1/Gemm.h"
#include "ch1/Inspect.h"
#include "ch1/Jit.h"

#include <optional>

namespace py = pybind11;
namespace ch1 {

namespace {

// [recipe]
Recipe recipe() {
  return {"gemm", gemmType, registerDialects, buildGemm, buildLowering};
}
// [/recipe]

using GemmFunction = void (*)(void *A, void *B, void *C);

GemmFunction lookupGemm(const Jit &jit) {
  return reinterpret_cast<GemmFunction>(jit.lookup("_mlir_ciface_gemm"));
}

/// @gemm, compiled at the first call. A static local is initialized exactly
/// once, also when several threads arrive together. The code stays until the
/// process ends: nothing is freed while another thread might still be in it.
GemmFunction compiledGemm() {
  static const Jit &jit = *new Jit(*Lowered(recipe()).module);
  static const GemmFunction function = lookupGemm(jit);
  return function;
}

// [call]
/// Calls what `compiled()` returns on two checked arrays.
template <typename Compiled>
py::array call(py::handle a, py::handle b, Compiled compiled) {
  // The compiled code believes the strides in its types, so anything that is
  // not in C order is copied first. (ch.2 lets the strides be arguments.)
  py::array A = contiguous(checkArray(a, "A", "float32", {kM, kK}));
  py::array B = contiguous(checkArray(b, "B", "float32", {kK, kN}));
  py::array_t<float> C({kM, kN});
  Descriptor descA(A), descB(B), descC(C);
  {
    py::gil_scoped_release release; // other Python threads run meanwhile
    compiled()(descA.get(), descB.get(), descC.get());
  }
  return std::move(C);
}

py::array gemm(py::handle a, py::handle b) { return call(a, b, compiledGemm); }
// [/call]

py::array run(const std::string &text, py::handle a, py::handle b) {
  std::optional<Jit> jit; // lives until the call is over
  return call(a, b, [&] {
    jit.emplace(*Lowered(recipe(), text).module);
    return lookupGemm(*jit);
  });
}

} // namespace

} // namespace ch1

PYBIND11_MODULE(ch1_fixed_size, m) {
  using namespace ch1;
  m.doc() = "Chapter 1: one matrix product of fixed shape, from linalg.matmul "
            "to machine code.";
  bindCompileError(m);
  m.def("gemm", &gemm, py::arg("A"), py::arg("B"),
        R"(gemm(A, B) -> C = A @ B

A: float32 [8, 32]; B: float32 [32, 16]; any strides. Returns a new float32
[8, 16]. TypeError for another dtype or kind, ValueError for another shape.
Compiles at the first call.)");
  m.def("run", &run, py::arg("ir"), py::arg("A"), py::arg("B"),
        R"(run(ir, A, B) -> C

Lowers, compiles and calls the @gemm of IR that you wrote or changed. It must
have the type that ir() shows. CompileError with MLIR's diagnostics where it
cannot be compiled. IR that reads or writes outside its arguments crashes
Python, as such code does in any language that is compiled without checks.)");
  bindInspection(m, &recipe);
}
