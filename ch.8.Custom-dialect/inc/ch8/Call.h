// Call.h - a compiled function of any signature, called with NumPy arrays.
#pragma once

#include "ch8/Signature.h"

#include <ffi.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <vector>

namespace ch8 {

// [call-class]
/// What libffi must know to call functions of one signature. Calls may come
/// from several threads at once.
class Call {
public:
  explicit Call(Signature signature);
  Call(const Call &) = delete; // cif holds the address of types
  Call &operator=(const Call &) = delete;

  /// Checks `arguments` against the signature, makes an output of `outShape`
  /// that is zero all over, calls `function` without the GIL, and returns the
  /// output. TypeError for a wrong kind or dtype, ValueError for a wrong count,
  /// rank, size, stride or number.
  pybind11::array operator()(void *function, pybind11::handle arguments,
                             pybind11::handle outShape) const;

  const Signature signature;

private:
  std::vector<ffi_type *> types; // one for each word
  mutable ffi_cif cif;           // ffi_call takes it as not const
};
// [/call-class]

} // namespace ch8
