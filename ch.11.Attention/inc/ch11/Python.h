//===- Python.h - the Python names that ch.11 to ch.14 share --------------===//
#pragma once

#include "ch11/Compiler.h"

namespace ch11 {

/// `object` as a value: a Tensor, or a float32 array of rank 1 to 3. Throws
/// TypeError or ValueError with the argument's name.
Tensor toTensor(pybind11::handle object, const std::string &name);

/// Adds to a chapter's module: Tensor, add, mul, matmul, transpose, softmax,
/// scale, forward, cache_info, clear_cache, ir, stages, llvm_ir, assembly,
/// CompileError. `compiler` must live as long as the process.
void bindTensor(pybind11::module_ &m, Compiler &compiler);

} // namespace ch11
