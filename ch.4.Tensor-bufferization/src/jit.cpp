// jit.cpp - compiles a variant and calls it.
//
//   out_parameter, destination   C is NumPy's: ch.2's call, 21 arguments
//   naive                        C is the function's: a descriptor comes back,
//                                and NumPy gets the duty to free
#include "ch4/Program.h"

#include "ch1/Arrays.h"
#include "ch2/Strided.h"
#include "ch3/Cache.h"
#include "ch4/Runtime.h"

#include <cstdlib>
#include <new>

namespace py = pybind11;
using ch1::kAnySize;
using ch2::MatrixDescriptor;

namespace ch4 {

static ch1::JitOptions jitOptions() {
  ch1::JitOptions options;
  options.symbols = runtimeSymbols();
  return options;
}

// [program]
Program::Program(const std::string &name, bool deallocate,
                 const ch1::Text &text)
    : variant(variantOf(name)),
      jit(*ch1::Lowered(recipe(name, deallocate), text).module, jitOptions()) {}

Returning Program::returning() const {
  return reinterpret_cast<Returning>(jit.lookup("_mlir_ciface_gemm"));
}

ch2::GemmFunction Program::writing() const {
  return reinterpret_cast<ch2::GemmFunction>(jit.lookup("gemm"));
}

std::shared_ptr<const Program> program(const std::string &name,
                                       bool deallocate) {
  static auto &cache = *new ch3::Cache<Program>; // never destroyed, as in ch.3
  return cache.get(name + (deallocate ? "" : " leaking"), [&] {
    return std::make_shared<const Program>(name, deallocate);
  });
}
// [/program]

namespace {

/// A and B, checked with the sentences of ch2::gemm, as a memref can describe
/// them.
struct Operands {
  py::array A, B;

  Operands(py::handle a, py::handle b)
      : A(ch1::checkArray(a, "A", "float32", {kAnySize, kAnySize})),
        B(ch1::checkArray(b, "B", "float32", {kAnySize, kAnySize})) {
    if (B.shape(0) != A.shape(1))
      throw py::value_error("B: expected shape " +
                            ch1::shapeText({A.shape(1), kAnySize}) +
                            " for an A of " + ch1::shapeText(ch1::shapeOf(A)) +
                            ", got " + ch1::shapeText(ch1::shapeOf(B)));
    A = ch2::describable(A);
    B = ch2::describable(B);
  }
};

} // namespace

// [memory]
/// Throws MemoryError where `count` float matrices of this shape are too much.
/// NumPy would say so; compiled code computes a size and believes it.
static void expectMemory(int64_t rows, int64_t columns, int64_t count) {
  constexpr int64_t much = int64_t(1) << 30; // below, nothing is tried
  int64_t bytes;
  if (__builtin_mul_overflow(rows, columns, &bytes) ||
      __builtin_mul_overflow(bytes, 4 * count, &bytes))
    throw std::bad_alloc();
  if (bytes < much)
    return;
  void *volatile trial = std::malloc(bytes); // volatile: not optimized away
  if (!trial)
    throw std::bad_alloc();
  std::free(trial);
}
// [/memory]

// [adopt]
/// A returned memref as an array that frees it. The function gave ownership
/// away with it; `allocated` is what must be freed, `aligned` is where the
/// numbers are.
static py::array adopt(const MatrixDescriptor &C) {
  py::capsule owner(C.allocated, release); // called when the last view is gone
  return py::array_t<float>({C.sizes[0], C.sizes[1]},
                            {4 * C.strides[0], 4 * C.strides[1]},
                            C.aligned + C.offset, owner);
}
// [/adopt]

// [call]
/// Calls a function that allocates its result.
static py::array
callReturning(const Operands &operands,
              const std::function<std::shared_ptr<const Program>()> &compiled) {
  MatrixDescriptor A = ch2::describe(operands.A);
  MatrixDescriptor B = ch2::describe(operands.B);
  MatrixDescriptor C;
  {
    py::gil_scoped_release release;
    compiled()->returning()(&C, &A, &B);
  }
  if (C.allocated == A.allocated || C.allocated == B.allocated)
    throw py::value_error("gemm returned the memory of an argument, which it "
                          "does not own");
  return adopt(C);
}

py::array
gemm(py::handle a, py::handle b, Variant variant,
     const std::function<std::shared_ptr<const Program>()> &compiled) {
  if (variant != Variant::Destination) {
    Operands operands(a, b);
    expectMemory(operands.A.shape(0), operands.B.shape(1), /*count=*/2);
    if (variant == Variant::Naive)
      return callReturning(operands, compiled);
  }
  std::shared_ptr<const Program> program; // holds the code during the call
  return ch2::gemm(a, b, [&] {
    program = compiled();
    return program->writing();
  });
}
// [/call]

} // namespace ch4
