// bindings.cpp - the Python module ch3_jit_caching.
//
//   arrays -> ch2::gemm checks them -> cache -> Program -> call -> array
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch3/Program.h"
#include "ch3/Python.h"
#include "ch3/Toy.h"

namespace py = pybind11;
namespace ch3 {

namespace {

/// Calls the program of `request`, compiled now or before.
py::array call(py::handle a, py::handle b, const Request &request) {
  if (request.optLevel < 0 || request.optLevel > 3)
    throw py::value_error("opt_level: expected 0 to 3, got " +
                          std::to_string(request.optLevel));
  // [call]
  // Held until the call is over: clear_cache() may come meanwhile.
  std::shared_ptr<const Program> held;
  return ch2::gemm(a, b, [&] {
    held = program(request);
    return held->gemm();
  });
  // [/call]
}

py::array gemm(py::handle a, py::handle b, int optLevel) {
  return call(a, b, {/*shape=*/{}, /*ir=*/{}, optLevel});
}

py::array gemmFixed(py::handle a, py::handle b, int optLevel) {
  // This code believes the sizes and the order in its types, as ch.1's did.
  auto matrix = [](py::handle object, const char *name) {
    return ch1::contiguous(ch1::checkArray(object, name, "float32",
                                           {ch1::kAnySize, ch1::kAnySize}));
  };
  py::array A = matrix(a, "A"), B = matrix(b, "B");
  Shape shape = {{A.shape(0), A.shape(1), B.shape(1)}};
  return call(A, B, {shape, /*ir=*/{}, optLevel});
}

py::array run(const std::string &ir, py::handle a, py::handle b, int optLevel) {
  return call(a, b, {/*shape=*/{}, ir, optLevel});
}

// [dangling]
/// WRONG, and here to be seen failing: the code is gone when this returns.
ch2::GemmFunction danglingGemm() {
  Program program(*ch1::Lowered(recipe({})).module, {});
  return program.gemm();
}
// [/dangling]

} // namespace

} // namespace ch3

PYBIND11_MODULE(ch3_jit_caching, m) {
  using namespace ch3;
  m.doc() = "Chapter 3: compile once for all shapes, in a cache that may be "
            "asked by many threads.";
  ch1::bindCompileError(m);
  m.def("gemm", &gemm, py::arg("A"), py::arg("B"), py::kw_only(),
        py::arg("opt_level") = 3,
        R"(gemm(A, B, *, opt_level=3) -> C = A @ B

A: float32 [M, K]; B: float32 [K, N]; any strides. Returns a new float32 [M, N].
TypeError for another dtype or kind, ValueError for another rank or shape. The
first call compiles, for all shapes.)");
  m.def("gemm_fixed", &gemmFixed, py::arg("A"), py::arg("B"), py::kw_only(),
        py::arg("opt_level") = 3,
        "The same with M, K and N in the types of the compiled function: "
        "compiles once for each shape.");
  m.def("run", &run, py::arg("ir"), py::arg("A"), py::arg("B"), py::kw_only(),
        py::arg("opt_level") = 3,
        R"(run(ir, A, B, *, opt_level=3) -> C

Calls the @gemm of IR that you wrote or changed, compiled when this text is seen
first. It must have the type that ir() shows. CompileError with MLIR's
diagnostics where it cannot be compiled. IR that reads or writes outside its
arguments crashes Python.)");
  bindCache(m, cache());
  ch1::bindInspection(m, &recipe, py::arg("shape") = py::none());
  bindToy(m);

  m.def("_num_live_programs", &Program::numLive,
        "Compiled programs that exist, in the cache or still in use.");
  m.def(
      "_gemm_dangling",
      [](py::handle a, py::handle b) { return ch2::gemm(a, b, danglingGemm); },
      py::arg("A"), py::arg("B"), "Calls code that is gone. Ends the process.");
}
