// Gemm.h - this chapter's one function, for any shape: its IR, and its call
// through 21 arguments.
#pragma once

#include "ch1/Recipe.h"

#include <cstdint>
#include <functional>
#include <pybind11/numpy.h>

namespace ch2 {

/// @gemm on memref<?x?xf32, strided<[?, ?], offset: ?>> A, B and C, with
/// linalg.fill and linalg.matmul, and ch.1's passes (ir.cpp).
ch1::Recipe recipe();

// [descriptor]
/// A memref of rank 2, as compiled code knows it. Element (i, j) lies at
/// aligned + offset + i * strides[0] + j * strides[1].
struct MatrixDescriptor {
  float *allocated;   // what free() would get; only an owner needs it
  float *aligned;     // where the numbers are
  int64_t offset;     // of the first one, in elements
  int64_t sizes[2];   // rows, columns
  int64_t strides[2]; // to the next row, to the next column, in elements
};
// [/descriptor]

/// Describes a float32 matrix that describable() returned, without owning it.
MatrixDescriptor describe(const pybind11::array &matrix);

// clang-format off
// [function-type]
/// @gemm as compiled: each memref is expanded into its fields, 3 x 7 arguments.
using GemmFunction = void (*)(
    // allocated, aligned, offset, sizes,         strides
    float *, float *, int64_t,     int64_t, int64_t, int64_t, int64_t,  // A
    float *, float *, int64_t,     int64_t, int64_t, int64_t, int64_t,  // B
    float *, float *, int64_t,     int64_t, int64_t, int64_t, int64_t); // C

/// @_mlir_ciface_gemm: the same function, given the addresses of descriptors.
using GemmCInterface = void (*)(MatrixDescriptor *A, MatrixDescriptor *B,
                                MatrixDescriptor *C);
// [/function-type]
// clang-format on

/// A [M, K] x B [K, N] -> a new array [M, N], float32, any sizes and strides.
/// Checks the arguments, then calls what `compiled()` returns with 21
/// arguments; `compiled` runs without the GIL and may throw. TypeError for
/// another kind or dtype, ValueError for another rank or two different K.
pybind11::array gemm(pybind11::handle a, pybind11::handle b,
                     const std::function<GemmFunction()> &compiled);

/// The same through the C interface.
pybind11::array
gemmByDescriptors(pybind11::handle a, pybind11::handle b,
                  const std::function<GemmCInterface()> &compiled);

} // namespace ch2
