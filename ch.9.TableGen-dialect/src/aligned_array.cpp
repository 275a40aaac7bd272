//===- aligned_array.cpp - new arrays that begin at a cache line ----------===//
#include "ch9/AlignedArray.h"

#include "ch1/Arrays.h"

#include "llvm/Support/MathExtras.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <vector>

namespace py = pybind11;

namespace ch9 {

py::array alignedArray(const py::dtype &dtype, llvm::ArrayRef<int64_t> shape) {
  constexpr size_t line = 64, hugePage = size_t(2) << 20;
  size_t bytes = dtype.itemsize();
  for (int64_t size : shape)
    if (__builtin_mul_overflow(bytes, size_t(size), &bytes))
      throw std::bad_alloc();
  size_t alignment = bytes >= hugePage ? hugePage : line;
  size_t whole = llvm::alignTo(bytes, alignment);
  if (whole < bytes)
    throw std::bad_alloc();
  void *memory = std::aligned_alloc(alignment, std::max(whole, line));
  if (!memory)
    throw std::bad_alloc();
  if (alignment == hugePage)
    madvise(memory, whole, MADV_HUGEPAGE); // a wish: failing changes nothing
  py::capsule owner(memory, [](void *p) { std::free(p); });
  return py::array(dtype, std::vector<py::ssize_t>(shape.begin(), shape.end()),
                   memory, owner);
}

py::array alignedCopy(const py::array &array) {
  py::array source = ch1::contiguous(array);
  py::array copy = alignedArray(array.dtype(), ch1::shapeOf(array));
  std::memcpy(copy.mutable_data(), source.data(), source.nbytes());
  return copy;
}

} // namespace ch9
