//===- bindings.cpp - the Python module ch9_tablegen_dialect --------------===//
//
// Tensor and forward come from python.cpp, the ops from nn_python.cpp.
//
//===----------------------------------------------------------------------===//

#include "ch9/Interop.h"
#include "ch9/Lowering.h"
#include "ch9/Ops.h"
#include "ch9/Python.h"

namespace py = pybind11;
using namespace ch9;

PYBIND11_MODULE(ch9_tablegen_dialect, m) {
  m.doc() = "Chapter 9: a dialect by TableGen, and expressions that are "
            "compiled once for each structure.";
  // Never destroyed: at the end of the process a thread may still be computing.
  static Compiler &compiler = *new Compiler({registerDialects, buildPipeline});
  bindTensor(m, compiler, {add, mul, matmul});
  bindInterop(m, {registerDialects, buildPipeline});
  bindOps(m);
}
