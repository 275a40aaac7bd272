//===- Python.h - the Python names that ch.11 to ch.14 share --------------===//
#pragma once

#include "ch9/Python.h"

namespace ch11 {

/// Adds to a chapter's module what ch9::bindTensor() adds, and add, mul,
/// matmul, transpose, softmax, scale.
void bindTensor(pybind11::module_ &m, ch9::Compiler &compiler);

} // namespace ch11
