// Signature.h - what a function of the text takes, and what that is when it is
// compiled.
#pragma once

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <string>
#include <vector>

namespace ch8 {

/// What an element of an array, or a number passed by itself, may be.
enum class Scalar { F32, F64, I32, I64, Index };

// [parameter]
/// One parameter of a function: a memref or a number.
struct Parameter {
  std::string type; // as the text has it: "memref<?x4xf32>"
  Scalar scalar;    // of the elements, or of the number
  bool isMemRef = false;
  // For a memref; ShapedType::kDynamic is a ?, known only with the call.
  llvm::SmallVector<int64_t, 4> sizes, strides;
  bool isContiguous = false; // no layout: C order, all of it
};

/// A function that can be called from Python. Its last parameter is a memref,
/// the output.
struct Signature {
  std::string function;
  std::vector<Parameter> parameters;
};
// [/parameter]

/// The parameters of a function. A tensor is what bufferization makes of it, a
/// memref without a layout, and a tensor that is returned is one more
/// parameter, the output. Throws CompileError, with the reason, for a function
/// that no arrays can be passed to.
Signature signatureOf(mlir::func::FuncOp function);

// [word]
/// One argument of the compiled function.
struct Word {
  enum Kind { Pointer, I32, I64, F32, F64 } kind;
  std::string name; // "%0 sizes[1]"
};
// [/word]

/// The arguments of the compiled function, all memrefs expanded.
std::vector<Word> expand(const Signature &signature);

/// Throws CompileError unless `lowered`, in the llvm dialect, takes exactly
/// these arguments and returns nothing.
void checkExpansion(const Signature &signature, mlir::Operation *lowered);

/// "f32", as MLIR spells it, and "float32", as NumPy does.
std::string mlirName(Scalar scalar);
std::string numpyName(Scalar scalar);

/// "!llvm.ptr", "f32": the type in the llvm dialect.
std::string mlirName(Word::Kind kind);

} // namespace ch8
