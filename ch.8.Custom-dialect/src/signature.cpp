// signature.cpp - from the type of a function to the arguments of its machine
// code.
//
//   @f(memref<?x4xf32>, f32, memref<4xi32>)          what the text says
//     Parameter, Parameter, Parameter                what a call checks
//     ptr ptr i64  i64 i64  i64 i64 | float | ptr …  what the call passes
//
// convert-func-to-llvm has its own idea of the last line, and it is the one
// that counts: checkExpansion() compares the two before anything is called.
#include "ch8/Signature.h"

#include "ch1/Diagnostics.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/raw_ostream.h"
#include <optional>

using namespace mlir;

namespace ch8 {

/// NumPy 1 has arrays of rank 32 at most.
static constexpr int64_t kMaxRank = 32;

static std::string textOf(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static std::optional<Scalar> scalarOf(Type type) {
  if (type.isF32())
    return Scalar::F32;
  if (type.isF64())
    return Scalar::F64;
  if (type.isSignlessInteger(32))
    return Scalar::I32;
  if (type.isSignlessInteger(64))
    return Scalar::I64;
  if (type.isIndex())
    return Scalar::Index;
  return std::nullopt;
}

// [parameter-of]
/// The parameter that a type makes, or why there is none.
static std::string parameterOf(Type type, Parameter &parameter) {
  parameter.type = textOf(type);
  if (auto scalar = scalarOf(type)) {
    parameter.scalar = *scalar;
    return "";
  }
  // A tensor at a function's boundary becomes a memref without a layout.
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    type = MemRefType::get(tensor.getShape(), tensor.getElementType());
  auto memref = dyn_cast<MemRefType>(type);
  auto element = memref ? scalarOf(memref.getElementType()) : std::nullopt;
  if (!element || element == Scalar::Index)
    return "an argument is a memref or tensor of f32, f64, i32 or i64, or a "
           "number of one of these types or index";
  if (memref.getRank() > kMaxRank)
    return "the rank is more than " + std::to_string(kMaxRank);
  int64_t offset;
  SmallVector<int64_t> strides;
  if (failed(memref.getStridesAndOffset(strides, offset)))
    return "its layout is not strides";
  if (offset != 0 && !ShapedType::isDynamic(offset))
    return "an array begins at its first element: write offset: ?";
  if (llvm::any_of(strides, [](int64_t s) {
        return s < 0 && s != ShapedType::kDynamic;
      }))
    return "arrays are passed with strides that are not negative";
  parameter.scalar = *element;
  parameter.isMemRef = true;
  parameter.sizes.assign(memref.getShape().begin(), memref.getShape().end());
  parameter.strides.assign(strides.begin(), strides.end());
  parameter.isContiguous = memref.getLayout().isIdentity();
  return "";
}
// [/parameter-of]

Signature signatureOf(func::FuncOp function) {
  Signature signature{function.getName().str(), {}};
  auto refuse = [&](const std::string &why) {
    throw ch1::CompileError("@" + signature.function +
                            " cannot be called from outside: " + why);
  };
  if (function.isPrivate())
    refuse("it is private");
  SmallVector<Type> types(function.getArgumentTypes());
  // [results]
  if (function.getNumResults() > 1)
    refuse("it returns " + std::to_string(function.getNumResults()) +
           " values, and one array is what a call makes");
  for (Type result : function.getResultTypes()) {
    if (!isa<RankedTensorType>(result))
      refuse("it returns " + textOf(result) +
             "; return a tensor, or write into a memref that is the last "
             "argument");
    // The caller makes the output; with a ? nothing would compare its sizes
    // with those that the function computes.
    if (!cast<RankedTensorType>(result).hasStaticShape())
      refuse("it returns " + textOf(result) +
             "; a tensor that is returned has its sizes in its type");
    types.push_back(result);
  }
  // [/results]
  for (auto [i, type] : llvm::enumerate(types)) {
    Parameter parameter;
    std::string why = parameterOf(type, parameter);
    if (!why.empty())
      refuse("%" + std::to_string(i) + " is " + parameter.type + "; " + why);
    signature.parameters.push_back(std::move(parameter));
  }
  if (types.empty() || !signature.parameters.back().isMemRef)
    refuse("its last argument must be a memref, the output");
  if (isa<RankedTensorType>(types.back()) && function.getNumResults() == 0)
    refuse("its last argument is a tensor, which nothing can be written into; "
           "return it, or make it a memref");
  return signature;
}

// [expand]
std::vector<Word> expand(const Signature &signature) {
  std::vector<Word> words;
  for (auto [i, parameter] : llvm::enumerate(signature.parameters)) {
    std::string name = "%" + std::to_string(i);
    if (!parameter.isMemRef) {
      Word::Kind kinds[] = {Word::F32, Word::F64, Word::I32, Word::I64,
                            Word::I64}; // index is 64 bits here
      words.push_back({kinds[static_cast<int>(parameter.scalar)], name});
      continue;
    }
    words.push_back({Word::Pointer, name + " allocated"});
    words.push_back({Word::Pointer, name + " aligned"});
    words.push_back({Word::I64, name + " offset"});
    for (const char *field : {" sizes[", " strides["})
      for (size_t d = 0; d < parameter.sizes.size(); ++d)
        words.push_back({Word::I64, name + field + std::to_string(d) + "]"});
  }
  return words;
}
// [/expand]

// [check-expansion]
void checkExpansion(const Signature &signature, Operation *lowered) {
  std::string expected = "(", got = "no function";
  for (const Word &word : expand(signature))
    expected += (expected == "(" ? "" : ", ") + mlirName(word.kind);
  expected += ")";
  if (auto function = dyn_cast_or_null<LLVM::LLVMFuncOp>(lowered)) {
    got = "(";
    for (Type type : function.getArgumentTypes())
      got += (got == "(" ? "" : ", ") + textOf(type);
    got += ")";
    if (!isa<LLVM::LLVMVoidType>(function.getFunctionType().getReturnType()))
      got += " with a result";
  }
  if (got != expected)
    throw ch1::CompileError("@" + signature.function +
                            " was compiled to take " + got +
                            ", and would be called with " + expected);
}
// [/check-expansion]

std::string mlirName(Scalar scalar) {
  const char *names[] = {"f32", "f64", "i32", "i64", "index"};
  return names[static_cast<int>(scalar)];
}

std::string numpyName(Scalar scalar) {
  const char *names[] = {"float32", "float64", "int32", "int64", "int64"};
  return names[static_cast<int>(scalar)];
}

std::string mlirName(Word::Kind kind) {
  const char *names[] = {"!llvm.ptr", "i32", "i64", "f32", "f64"};
  return names[kind];
}

} // namespace ch8
