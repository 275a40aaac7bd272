//===- AlignedArray.h - new arrays that begin at a cache line -------------===//
#pragma once

#include "llvm/ADT/ArrayRef.h"

#include <pybind11/numpy.h>

namespace ch9 {

/// A new array in C order, not initialized. It begins at a cache line (a vector
/// of 64 bytes that does not is read from two lines), and where it is large, at
/// a huge page, which saves 511 of 512 page faults. Throws std::bad_alloc.
pybind11::array alignedArray(const pybind11::dtype &dtype,
                             llvm::ArrayRef<int64_t> shape);

/// The same numbers in such an array.
pybind11::array alignedCopy(const pybind11::array &array);

} // namespace ch9
