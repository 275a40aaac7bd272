//===- Interop.h - IR that Python built, by the chapter's pipeline --------===//
#pragma once

#include "ch9/Compiler.h"

namespace ch9 {

/// Adds to a chapter's module register_dialects() and execute(), which take
/// objects of the MLIR project's own Python bindings (`mlir.ir`).
void bindInterop(pybind11::module_ &m, const Language &language);

} // namespace ch9
