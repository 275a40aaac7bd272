// bindings.cpp - the Python module ch1_fixed_size.
//
//   array -> check -> descriptor -> _mlir_ciface_gemm -> array
//
// Last step of the chapter: what Python calls. Compiling happens at the first
// call, once, whichever thread comes first.
#include "ch1/Arrays.h"
#include "ch1/Diagnostics.h"
#include "ch1/Gemm.h"
#include "ch1/Jit.h"
#include <mutex>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir;

namespace ch1 {

namespace {

/// @gemm in one of its forms, with the context that owns it.
struct Lowered {
  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> module = buildGemm(context.get());
  Stages stages;

  explicit Lowered(bool recordStages = false) {
    PassManager passes(context.get());
    buildLowering(passes);
    runPipeline(passes, *module, recordStages ? &stages : nullptr);
  }
};

// [call]
using GemmFunction = void (*)(void *A, void *B, void *C);

/// Compiles @gemm at the first call. A static local is initialized exactly
/// once, also when several threads arrive together; a CompileError leaves it
/// unset.
GemmFunction compiledGemm() {
  static Jit jit(*Lowered().module);
  static auto function =
      reinterpret_cast<GemmFunction>(jit.lookup("_mlir_ciface_gemm"));
  return function;
}

py::array gemm(const py::object &a, const py::object &b) {
  // The compiled code believes the strides in its types, so anything that is
  // not in C order is copied first. (ch.2 lets the strides be arguments.)
  py::array A = contiguous(checkArray(a, "A", "float32", {kM, kK}));
  py::array B = contiguous(checkArray(b, "B", "float32", {kK, kN}));
  py::array_t<float> C({kM, kN});
  Descriptor descA(A), descB(B), descC(C);
  {
    py::gil_scoped_release release; // other Python threads run meanwhile
    compiledGemm()(descA.get(), descB.get(), descC.get());
  }
  return C;
}
// [/call]

std::string ir() {
  auto context = makeContext();
  return print(*buildGemm(context.get()));
}

std::vector<std::pair<std::string, std::string>> stages() {
  std::vector<std::pair<std::string, std::string>> result;
  for (Stage &stage : Lowered(/*recordStages=*/true).stages)
    result.emplace_back(std::move(stage.pass), std::move(stage.ir));
  return result;
}

} // namespace

} // namespace ch1

PYBIND11_MODULE(ch1_fixed_size, m) {
  using namespace ch1;
  m.doc() =
      "Chapter 1: one matrix product of fixed shape, from linalg.matmul to "
      "machine code.";
  bindCompileError(m);
  m.def("gemm", &gemm, py::arg("A"), py::arg("B"),
        "gemm(A, B) -> C = A @ B\n\n"
        "A: float32 [8, 32]; B: float32 [32, 16]; any strides. Returns a new "
        "float32\n"
        "[8, 16]. TypeError for another dtype or kind, ValueError for another "
        "shape.\n"
        "Compiles at the first call.");
  m.def("ir", &ir, "The IR as it is built: linalg on memrefs.");
  m.def("stages", &stages,
        "[(pass name, IR after it)], the first being (\"input\", ir()).");
  m.def(
      "llvm_ir", [] { return llvmIR(*Lowered().module); },
      "The optimized LLVM IR of the compiled function.");
  m.def(
      "assembly", [] { return assembly(*Lowered().module); },
      "The assembly of the compiled function on this machine.");

  // Older spellings of the first chapters.
  m.attr("test_ir_generation") = m.attr("ir");
  m.def(
      "test_optimized_ir", [] { return stages().back().second; },
      "The IR after the last pass.");
  m.attr("test_lowered_ir") = m.attr("test_optimized_ir");
}
