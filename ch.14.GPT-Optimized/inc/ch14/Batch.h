// Batch.h - what one call of the step is about: a flat list of tokens.
#pragma once

#include "ch14/Step.h"
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace ch14 {

/// The arguments of a step, checked. The indices are copies: what was checked
/// is what is read, even if another thread writes to the caller's arrays
/// meanwhile.
struct Batch {
  /// For a model of `layers` layers; see the docstring of Model.step in
  /// bindings.cpp. Throws ValueError or TypeError with what was expected.
  Batch(const StepShape &shape, int64_t layers, const pybind11::object &tokens,
        const pybind11::object &positions, const pybind11::object &slots,
        const pybind11::object &sequences, const pybind11::object &pageTables,
        const pybind11::object &logitRows, const pybind11::object &kCache,
        const pybind11::object &vCache);

  pybind11::array tokens, positions, slots, sequences; // int32 [T]
  pybind11::array tables;                              // int32 [S, pages]
  pybind11::array rows;                                // int32 [R]
  pybind11::array keys, values; // the caller's caches, used in place
};

} // namespace ch14
