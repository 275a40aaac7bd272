// bindings.cpp - the Python module ch4_tensor_bufferization.
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch4/Program.h"
#include "ch4/Runtime.h"

namespace py = pybind11;
namespace ch4 {

namespace {

py::array gemmOfThisChapter(py::handle a, py::handle b,
                            const std::string &variant, bool deallocate) {
  return gemm(a, b, variantOf(variant),
              [&] { return program(variant, deallocate); });
}

py::array run(const std::string &text, py::handle a, py::handle b,
              const std::string &variant, bool deallocate) {
  return gemm(a, b, variantOf(variant), [&] {
    return std::make_shared<const Program>(variant, deallocate, text);
  });
}

} // namespace

} // namespace ch4

PYBIND11_MODULE(ch4_tensor_bufferization, m) {
  using namespace ch4;
  m.doc() = "Chapter 4: a matrix product on tensors, and where its memory "
            "comes from.";
  ch1::bindCompileError(m);
  m.def("gemm", &gemmOfThisChapter, py::arg("A"), py::arg("B"),
        py::arg("variant") = "destination", py::arg("deallocate") = true,
        R"(gemm(A, B, variant="destination", deallocate=True) -> C = A @ B

A: float32 [M, K]; B: float32 [K, N]; any sizes, also 0; any strides. Returns a
new float32 [M, N]. TypeError for another dtype or kind, ValueError for another
rank or where B has not as many rows as A has columns. variant: "naive",
"out_parameter" or "destination". deallocate=False leaves out the passes that
free: such a call leaks what it allocates.)");
  m.def("run", &run, py::arg("ir"), py::arg("A"), py::arg("B"),
        py::arg("variant") = "destination", py::arg("deallocate") = true,
        R"(run(ir, A, B, variant="destination", deallocate=True) -> C

Lowers, compiles and calls the @gemm of IR that you wrote or changed. It must
have the type that ir(variant) shows. CompileError with MLIR's diagnostics where
it cannot be compiled. IR that reads or writes outside its arguments crashes
Python.)");
  ch1::bindInspection(m, &recipe, py::arg("variant") = "destination",
                      py::arg("deallocate") = true);
  m.def(
      "tensor_ir",
      [](const std::string &variant) {
        return ch1::print(*ch1::Built(recipe(variant, true)).module);
      },
      py::arg("variant") = "destination",
      py::call_guard<py::gil_scoped_release>(),
      "The tensor form, before one-shot bufferization.");
  m.attr("test_tensor_ir") = m.attr("tensor_ir");

  py::object Allocations =
      py::module_::import("collections")
          .attr("namedtuple")("Allocations", "made freed bytes");
  Allocations.attr("__module__") = m.attr("__name__");
  m.attr("Allocations") = Allocations;
  m.def(
      "allocations",
      [Allocations] {
        auto [made, freed, bytes] = allocations();
        return Allocations(made, freed, bytes);
      },
      R"(allocations() -> (made, freed, bytes)

How many buffers the compiled code of this chapter has allocated and freed so
far, and how many bytes that was.)");
}
