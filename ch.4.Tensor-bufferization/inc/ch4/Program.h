// Program.h - a compiled variant, and its call.
#pragma once

#include "ch4/Bufferize.h"

#include "ch1/Jit.h"
#include "ch2/Gemm.h"

#include <functional>
#include <memory>
#include <pybind11/numpy.h>
#include <string>

namespace ch4 {

// [returning]
/// @_mlir_ciface_gemm of a variant that returns its memref: the descriptor of
/// the result is written to *result.
using Returning = void (*)(ch2::MatrixDescriptor *result,
                           ch2::MatrixDescriptor *A, ch2::MatrixDescriptor *B);
// [/returning]

/// Machine code of one variant.
class Program {
public:
  /// Of this chapter's IR, or of the text given. Throws CompileError.
  Program(const std::string &variant, bool deallocate,
          const ch1::Text &text = {});

  Returning returning() const;       // of Variant::Naive
  ch2::GemmFunction writing() const; // of the others

  const Variant variant;

private:
  ch1::Jit jit;
};

/// The program of this chapter's IR, compiled at the first call. To be called
/// without the GIL.
std::shared_ptr<const Program> program(const std::string &variant,
                                       bool deallocate);

/// A [M, K] x B [K, N] -> a new array [M, N] by what `compiled()` returns, as
/// ch2::gemm.
pybind11::array
gemm(pybind11::handle a, pybind11::handle b, Variant variant,
     const std::function<std::shared_ptr<const Program>()> &compiled);

} // namespace ch4
