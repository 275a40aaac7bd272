// bindings.cpp - the Python module ch8_custom_dialect.
//
//   execute(text, function, arrays, out_shape)
//     text -> Program, from the cache      compiled once
//     function -> Call and address
//     arrays, numbers -> words -> libffi -> array
#include "ch1/Arrays.h"
#include "ch1/Inspect.h"
#include "ch3/Python.h"
#include "ch8/Program.h"
#include "ch8/Text.h"

#include <pybind11/stl.h>

namespace py = pybind11;
namespace ch8 {

namespace {

/// A str as UTF-8. (pybind11 would take bytes as well, and bytes could be
/// MLIR's binary form.)
std::string utf8(py::handle object, const char *name) {
  if (!PyUnicode_Check(object.ptr()))
    throw py::type_error(
        std::string(name) + ": expected a str, got " +
        py::type::of(object).attr("__name__").cast<std::string>());
  Py_ssize_t size;
  const char *text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (!text)
    throw py::error_already_set(); // a lone surrogate: a ValueError
  return std::string(text, size);
}

std::shared_ptr<const Program> programOf(py::handle text, bool trusted) {
  std::string key = utf8(text, "mlir_text");
  py::gil_scoped_release release;
  return program(key, trusted);
}

// [execute]
py::array execute(py::handle text, py::handle function, py::handle arrays,
                  py::handle outShape, bool trusted) {
  std::shared_ptr<const Program> program = programOf(text, trusted);
  const Program::Function &entry =
      program->function(utf8(function, "function"));
  return (*entry.call)(entry.address, arrays, outShape);
}
// [/execute]

py::cpp_function compiled(py::handle text, py::handle function, bool trusted) {
  std::shared_ptr<const Program> program = programOf(text, trusted);
  std::string name = utf8(function, "function");
  const Program::Function *entry = &program->function(name);
  return py::cpp_function(
      [program, entry](py::handle arrays, py::handle outShape) {
        return (*entry->call)(entry->address, arrays, outShape);
      },
      py::name(name.c_str()), py::arg("arrays"), py::arg("out_shape"));
}

/// [(name, type)] of the compiled function's arguments.
std::vector<std::pair<std::string, std::string>>
signature(py::handle text, py::handle function) {
  std::shared_ptr<const Program> program = programOf(text, false);
  std::vector<std::pair<std::string, std::string>> result;
  const Program::Function &entry =
      program->function(utf8(function, "function"));
  for (const Word &word : expand(entry.call->signature))
    result.emplace_back(word.name, mlirName(word.kind));
  return result;
}

/// Reads `text`, lowers it where `toLLVM`, and gives it to `look`, all on the
/// large stack.
template <typename Look>
auto inspect(py::handle text, bool toLLVM, Look look, bool trusted = false) {
  std::string source = utf8(text, "mlir_text");
  py::gil_scoped_release release;
  decltype(look(std::declval<Source &>(), ch1::Stages())) result;
  if (!trusted)
    tryInOwnProcess(source, toLLVM ? Trial::Compile : Trial::Read);
  onLargeStack([&] {
    Source module = read(source);
    ch1::Stages stages;
    if (toLLVM)
      lower(module, &stages);
    result = look(module, std::move(stages));
  });
  return result;
}

} // namespace

} // namespace ch8

PYBIND11_MODULE(ch8_custom_dialect, m) {
  using namespace ch8;
  m.doc() = "Chapter 8: any MLIR text, compiled once and called with any "
            "signature.";
  ch1::bindCompileError(m);
  m.def(
      "execute", &execute, py::arg("mlir_text"), py::arg("function"),
      py::arg("arrays"), py::arg("out_shape"), py::kw_only(),
      py::arg("trusted") = false,
      R"(execute(mlir_text, function, arrays, out_shape, *, trusted=False) -> array

Compiles the text at the first call and calls one of its functions. It takes
memrefs or tensors of f32, f64, i32 or i64 (arrays of that dtype, any strides)
and numbers (Python's, for f32, f64, i32, i64 and index); its last argument is a
memref, or its result a tensor, that becomes the new array of `out_shape`, which
begins as zeros. CompileError for text that cannot be compiled, TypeError for a
wrong kind or dtype, ValueError for a wrong count, rank, size or number. Text
that reads or writes outside of its arguments crashes Python.

A new text is compiled first in a process of its own, so that one that crashes
the compiler is a CompileError. `trusted` leaves that out: for text of your own
programs, which takes half the time then.)");
  m.def(
      "compiled", &compiled, py::arg("mlir_text"), py::arg("function"),
      py::kw_only(), py::arg("trusted") = false,
      R"(compiled(mlir_text, function, *, trusted=False) -> a function (arrays, out_shape) -> array

execute() in two steps: the text is looked up once. The function keeps its
machine code alive, also after clear_cache().)");
  m.def("signature", &signature, py::arg("mlir_text"), py::arg("function"),
        R"(signature(mlir_text, function) -> [(name, type)]

The arguments of the compiled function: every memref expanded.)");
  m.def(
      "ir",
      [](py::handle text, bool trusted) {
        return inspect(
            text, false,
            [](Source &source, ch1::Stages) {
              return ch1::print(*source.module);
            },
            trusted);
      },
      py::arg("mlir_text"), py::kw_only(), py::arg("trusted") = false,
      "The text as MLIR prints it, read and checked.");
  m.def(
      "stages",
      [](py::handle text) {
        return inspect(text, true, [](Source &, ch1::Stages stages) {
          return ch1::stageList(std::move(stages));
        });
      },
      py::arg("mlir_text"),
      R"([(pass name, IR after it)], the first being ("input", ir(text)).)");
  m.def(
      "llvm_ir",
      [](py::handle text) {
        return inspect(text, true, [](Source &source, ch1::Stages) {
          return ch1::llvmIR(*source.module);
        });
      },
      py::arg("mlir_text"), "The LLVM IR, optimized.");
  m.def(
      "assembly",
      [](py::handle text) {
        return inspect(text, true, [](Source &source, ch1::Stages) {
          return ch1::assembly(*source.module);
        });
      },
      py::arg("mlir_text"), "This machine's assembly.");
  ch3::bindCache(m, cache());
}
