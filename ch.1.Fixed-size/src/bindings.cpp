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

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <optional>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace mlir;

namespace ch1 {

namespace {

/// IR that a reader gives in place of this chapter's own.
using Text = std::optional<std::string>;

// [lowered]
/// @gemm on its way down, with the context that owns it: this chapter's own, or
/// the one in `text`. Members are destroyed last to first, so the module goes
/// before its context.
struct Lowered {
  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> module;
  Stages stages;

  explicit Lowered(const Text &text = {}, bool recordStages = false)
      : module(text ? parse(context.get(), *text) : buildGemm(context.get())) {
    if (text)
      checkSignature();
    PassManager passes(context.get());
    buildLowering(passes);
    runPipeline(passes, *module, recordStages ? &stages : nullptr);
  }

  /// IR from outside is called like ours, so its @gemm must be typed like ours.
  void checkSignature() {
    auto function = module->lookupSymbol<func::FuncOp>("gemm");
    if (!function || function.isDeclaration())
      throw CompileError("the IR defines no func.func @gemm");
    FunctionType expected = gemmType(context.get());
    if (function.getFunctionType() != expected) {
      std::string what = "@gemm: expected the type ";
      llvm::raw_string_ostream(what)
          << expected << ", got " << function.getFunctionType();
      throw CompileError(what);
    }
    function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                      UnitAttr::get(context.get()));
  }
};
// [/lowered]

using GemmFunction = void (*)(void *A, void *B, void *C);

GemmFunction lookupGemm(const Jit &jit) {
  return reinterpret_cast<GemmFunction>(jit.lookup("_mlir_ciface_gemm"));
}

/// @gemm, compiled at the first call. A static local is initialized exactly
/// once, also when several threads arrive together. The code stays until the
/// process ends: nothing is freed while another thread might still be in it.
GemmFunction compiledGemm() {
  static const Jit &jit = *new Jit(*Lowered().module);
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
    jit.emplace(*Lowered(text).module);
    return lookupGemm(*jit);
  });
}

std::string ir() {
  auto context = makeContext();
  return print(*buildGemm(context.get()));
}

std::vector<std::pair<std::string, std::string>> stages(const Text &text) {
  std::vector<std::pair<std::string, std::string>> result;
  for (Stage &stage : Lowered(text, /*recordStages=*/true).stages)
    result.emplace_back(std::move(stage.pass), std::move(stage.ir));
  return result;
}

} // namespace

} // namespace ch1

PYBIND11_MODULE(ch1_fixed_size, m) {
  using namespace ch1;
  using Unlocked = py::call_guard<py::gil_scoped_release>;
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
  m.def("ir", &ir, Unlocked(), "The IR as it is built: linalg on memrefs.");
  m.def("stages", &stages, py::arg("ir") = py::none(), Unlocked(),
        R"([(pass name, IR after it)], the first being ("input", ir()).

Of this chapter's IR, or of the text that is given.)");
  m.def(
      "llvm_ir", [](const Text &ir) { return llvmIR(*Lowered(ir).module); },
      py::arg("ir") = py::none(), Unlocked(),
      "The optimized LLVM IR of @gemm, or of the text that is given.");
  m.def(
      "assembly", [](const Text &ir) { return assembly(*Lowered(ir).module); },
      py::arg("ir") = py::none(), Unlocked(),
      "The assembly of @gemm on this machine, or of the text that is given.");

  // Older spellings of the first chapters.
  m.attr("test_ir_generation") = m.attr("ir");
  m.def(
      "test_optimized_ir", [] { return stages({}).back().second; }, Unlocked(),
      "The IR after the last pass.");
  m.attr("test_lowered_ir") = m.attr("test_optimized_ir");
}
