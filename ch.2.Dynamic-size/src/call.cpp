// call.cpp - two NumPy arrays, checked, described and handed over by hand.
//
//   A [M, K], B [K, N] -> check -> describe -> 21 arguments -> C [M, N]
#include "ch2/Gemm.h"
#include "ch2/Strided.h"

#include "ch1/Arrays.h"

namespace py = pybind11;
using ch1::kAnySize;

namespace ch2 {

// [describable]
py::array describable(const py::array &array) {
  bool fits = array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  for (py::ssize_t i = 0; fits && i < array.ndim(); ++i)
    fits = array.shape(i) < 2 || // no second one: no step is ever made
           (array.strides(i) >= 0 && array.strides(i) % array.itemsize() == 0);
  return fits ? array : ch1::contiguous(array);
}
// [/describable]

// [describe]
MatrixDescriptor describe(const py::array &matrix) {
  auto *data = static_cast<float *>(const_cast<void *>(matrix.data()));
  py::ssize_t item = matrix.itemsize(); // NumPy counts strides in bytes
  return {/*allocated=*/data,
          /*aligned=*/data,
          /*offset=*/0,
          {matrix.shape(0), matrix.shape(1)},
          {matrix.strides(0) / item, matrix.strides(1) / item}};
}
// [/describe]

namespace {

/// One call's arrays. The compiled code knows the shapes only from here.
struct Product {
  py::array A, B, C;

  Product(py::handle a, py::handle b);
};

// [check]
Product::Product(py::handle a, py::handle b)
    : A(ch1::checkArray(a, "A", "float32", {kAnySize, kAnySize})),
      B(ch1::checkArray(b, "B", "float32", {kAnySize, kAnySize})) {
  if (B.shape(0) != A.shape(1))
    throw py::value_error("B: expected shape " +
                          ch1::shapeText({A.shape(1), kAnySize}) +
                          " for an A of " + ch1::shapeText(ch1::shapeOf(A)) +
                          ", got " + ch1::shapeText(ch1::shapeOf(B)));
  A = describable(A);
  B = describable(B);
  C = py::array_t<float>({A.shape(0), B.shape(1)});
}
// [/check]

} // namespace

// clang-format off
py::array gemm(py::handle a, py::handle b,
               const std::function<GemmFunction()> &compiled) {
  Product arrays(a, b);
  MatrixDescriptor A = describe(arrays.A);
  MatrixDescriptor B = describe(arrays.B);
  MatrixDescriptor C = describe(arrays.C);
  {
    py::gil_scoped_release release;
    // [call]
    GemmFunction function = compiled();
    function(A.allocated, A.aligned, A.offset, A.sizes[0], A.sizes[1], A.strides[0], A.strides[1],
             B.allocated, B.aligned, B.offset, B.sizes[0], B.sizes[1], B.strides[0], B.strides[1],
             C.allocated, C.aligned, C.offset, C.sizes[0], C.sizes[1], C.strides[0], C.strides[1]);
    // [/call]
  }
  return arrays.C;
}
// clang-format on

// [call-descriptors]
py::array gemmByDescriptors(py::handle a, py::handle b,
                            const std::function<GemmCInterface()> &compiled) {
  Product arrays(a, b);
  MatrixDescriptor A = describe(arrays.A);
  MatrixDescriptor B = describe(arrays.B);
  MatrixDescriptor C = describe(arrays.C);
  {
    py::gil_scoped_release release;
    compiled()(&A, &B, &C);
  }
  return arrays.C;
}
// [/call-descriptors]

} // namespace ch2
