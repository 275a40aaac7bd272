// Strided.h - which NumPy arrays a memref with strides can describe as they
// are.
#pragma once

#include <pybind11/numpy.h>

namespace ch2 {

/// The array itself where a descriptor with strides can describe it: aligned,
/// each stride a multiple of the item size and not negative (that of an axis of
/// fewer than two elements does not matter). So transposed, sliced and repeated
/// (stride 0) arrays are not copied. Any other array (odd fields of records,
/// misaligned buffers, reversed axes) is, into C order.
///
/// Reversed axes are among them because LLVM 21 and 22 lower memref.load to
/// `mul nuw index, stride`: "does not wrap as an unsigned number". A negative
/// stride is a huge unsigned number, so the address would be poison.
pybind11::array describable(const pybind11::array &array);

} // namespace ch2
