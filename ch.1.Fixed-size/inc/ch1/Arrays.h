// Arrays.h - NumPy arrays, checked and described for compiled functions.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <string>
#include <utility>
#include <vector>

namespace ch1 {

/// In an expected shape: this dimension may have any size.
inline constexpr int64_t kAnySize = -1;

/// Checks that `object` is a NumPy array of `dtype` ("float32", "int32", …)
/// whose rank and sizes are `shape` (kAnySize matches any). Returns it
/// unchanged, whatever its strides. Throws TypeError for another kind or dtype,
/// ValueError for another rank or size; the message names the argument, what
/// was expected and what came.
pybind11::array checkArray(pybind11::handle object, const std::string &name,
                           const std::string &dtype,
                           llvm::ArrayRef<int64_t> shape);

/// The same, for any rank.
pybind11::array checkArray(pybind11::handle object, const std::string &name,
                           const std::string &dtype);

/// The array itself where it is aligned and in C order, a copy that is,
/// otherwise.
pybind11::array contiguous(const pybind11::array &array);

/// "(8, 32)": a shape as Python prints it, with "any" for kAnySize.
std::string shapeText(llvm::ArrayRef<int64_t> shape);

/// The sizes of an array.
llvm::SmallVector<int64_t> shapeOf(const pybind11::array &array);

// [descriptor]
/// What a compiled function receives for a memref of any rank, all 64-bit
/// words:
///
///     allocated pointer, aligned pointer, offset, sizes[rank], strides[rank]
///
/// Strides are counted in elements. Describes an array's memory without owning
/// it: keep the array alive during the call.
class Descriptor {
public:
  explicit Descriptor(const pybind11::array &array);
  Descriptor(void *data, llvm::ArrayRef<int64_t> sizes); // C order

  /// The address that the C interface of a function wants.
  void *get() { return words.data(); }

private:
  llvm::SmallVector<int64_t, 11> words; // up to rank 4 without an allocation
};
// [/descriptor]

/// Adds CompileError to `m` and makes it what ch1::CompileError becomes in
/// Python.
void bindCompileError(pybind11::module_ &m);

/// Adds to `m` names that Python files define, given as {file, {names}}. Such a
/// file imports `m` itself, so it is imported only when one of its names is
/// asked for (PEP 562): by then `m` is complete, whichever of the two a program
/// imports first.
void bindPythonNames(
    pybind11::module_ &m,
    const std::vector<std::pair<std::string, std::vector<std::string>>> &files);

} // namespace ch1
