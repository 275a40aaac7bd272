//===- Python.h - the Python names of ch.12 -------------------------------===//
#pragma once

#include <pybind11/pybind11.h>
#include <vector>

namespace ch12 {

/// `weights` as a flat list of arrays, 16 for each layer; a list of lists of 16
/// is taken too. Throws ValueError where a layer has another number.
std::vector<pybind11::object> flattenLayers(const pybind11::sequence &weights);

/// Adds layer_norm, linear, gelu, ffn, scaled_dot_product_attention, attention,
/// transformer_block and multi_layer_transformer to a module that has ch.11's
/// names already.
void bindLayers(pybind11::module_ &m);

} // namespace ch12
