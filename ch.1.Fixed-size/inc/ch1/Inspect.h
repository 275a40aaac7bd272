// Inspect.h - ir(), stages(), llvm_ir() and assembly() of a chapter's module.
#pragma once

#include "ch1/Jit.h"
#include "ch1/Recipe.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <utility>
#include <vector>

namespace ch1 {

/// [(pass, IR after it)], as Python gets it.
using StageList = std::vector<std::pair<std::string, std::string>>;
StageList stageList(Stages stages);

// [inspection]
/// Adds to `m` the functions with which a reader looks at what `recipe(args…)`
/// makes, and the older spellings of the first chapters. `extra` describes the
/// arguments: py::arg("lowering") = "polynomial".
template <typename... Args, typename... Extra>
void bindInspection(pybind11::module_ &m, Recipe (*recipe)(Args...),
                    const Extra &...extra) {
  namespace py = pybind11;
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  m.def(
      "ir", [=](Args... args) { return print(*Built(recipe(args...)).module); },
      extra..., Unlocked(), "The IR as it is built.");
  m.def(
      "stages",
      [=](Args... args, const Text &text) {
        return stageList(Lowered(recipe(args...), text, true).stages);
      },
      extra..., py::arg("ir") = py::none(), Unlocked(),
      R"([(pass name, IR after it)], the first being ("input", ir()).

Of this chapter's IR, or of the text that is given.)");
  m.def(
      "llvm_ir",
      [=](Args... args, const Text &text) {
        return llvmIR(*Lowered(recipe(args...), text).module);
      },
      extra..., py::arg("ir") = py::none(), Unlocked(),
      "The LLVM IR, optimized, of this chapter's IR or of the text given.");
  m.def(
      "assembly",
      [=](Args... args, const Text &text) {
        return assembly(*Lowered(recipe(args...), text).module);
      },
      extra..., py::arg("ir") = py::none(), Unlocked(),
      "This machine's assembly of this chapter's IR or of the text given.");

  // Older spellings of the first chapters.
  m.attr("test_ir_generation") = m.attr("ir");
  m.def(
      "test_optimized_ir",
      [=](Args... args) { return print(*Lowered(recipe(args...)).module); },
      extra..., Unlocked(), "The IR after the last pass.");
  m.attr("test_lowered_ir") = m.attr("test_optimized_ir");
}
// [/inspection]

} // namespace ch1
