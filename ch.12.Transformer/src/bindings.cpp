//===- bindings.cpp - the Python module ch12_transformer ------------------===//
//
// ch.11's names, this chapter's names, and a compiler that knows the ops of
// both.
//
//===----------------------------------------------------------------------===//

#include "ch11/Python.h"
#include "ch12/Lowering.h"
#include "ch12/Python.h"

PYBIND11_MODULE(ch12_transformer, m) {
  m.doc() = "Chapter 12: a transformer, composed of ops.";
  // Never destroyed: at the end of the process a thread may still be computing.
  static ch9::Compiler &compiler =
      *new ch9::Compiler({ch12::registerDialects, ch12::buildPipeline});
  ch11::bindTensor(m, compiler);
  ch12::bindLayers(m);
}
