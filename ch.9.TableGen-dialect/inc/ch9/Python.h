//===- Python.h - the Python names around expressions ---------------------===//
#pragma once

#include "ch9/Compiler.h"

namespace ch9 {

/// `object` as a value: a Tensor, or a float32 array of rank 1 to 3. Throws
/// TypeError or ValueError with the argument's name.
Tensor toTensor(pybind11::handle object, const std::string &name);

/// What the operators of Python make. They check shapes, and throw
/// std::invalid_argument.
struct Operators {
  Tensor (*add)(const Tensor &a, const Tensor &b);
  Tensor (*mul)(const Tensor &a, const Tensor &b);
  Tensor (*matmul)(const Tensor &a, const Tensor &b);
  Tensor (*scale)(const Tensor &t, float factor) = nullptr; // t * number
};

/// Adds to a chapter's module: Tensor, forward, cache_info, clear_cache, ir,
/// stages, llvm_ir, assembly, CompileError. `compiler` must live as long as the
/// process.
void bindTensor(pybind11::module_ &m, Compiler &compiler,
                const Operators &operators);

/// The compiler of a name. Throws std::invalid_argument for any other name.
using Chooser = Compiler &(*)(const std::string &pipeline);

/// The same for a chapter with several compilers, but without cache_info and
/// clear_cache: forward and the functions that print take `pipeline`, which is
/// `standard` where nothing is said.
void bindTensor(pybind11::module_ &m, Chooser choose,
                const std::string &standard, const Operators &operators);

/// Adds to `m` a function of one value, or of a and b; arrays become values.
void bindUnary(pybind11::module_ &m, const char *name,
               Tensor (*op)(const Tensor &), const char *argument,
               const char *doc);
void bindBinary(pybind11::module_ &m, const char *name,
                Tensor (*op)(const Tensor &a, const Tensor &b),
                const char *doc);

/// Adds the ops of nn to `m`: add, mul, matmul, transpose, relu, softmax,
/// linear (nn_python.cpp).
void bindOps(pybind11::module_ &m);

} // namespace ch9
