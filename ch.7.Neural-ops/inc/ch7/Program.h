// Program.h - a graph's IR, its compiled function, and how that is called.
#pragma once

#include "ch1/Jit.h"
#include "ch1/Recipe.h"
#include "ch3/Cache.h"
#include "ch7/Graph.h"

#include <pybind11/numpy.h>

namespace ch7 {

/// The module of one value: @name takes a tensor for each variable and returns
/// a tensor (ir.cpp).
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext *context,
                                              const Node &value,
                                              llvm::StringRef name);

/// The type of @name.
mlir::FunctionType functionType(mlir::MLIRContext *context, const Node &value);

/// ch.1's recipe for one value. The value's graph must outlive it. Throws
/// std::invalid_argument where @name would be no name.
ch1::Recipe recipe(const Node &value, const std::string &name, bool fuse);

// [words]
/// How many 64-bit words describe a memref: two pointers, an offset, a size
/// and a stride for each dimension.
constexpr size_t numWords(size_t rank) { return 3 + 2 * rank; }

/// The most words of one call (call.cpp).
inline constexpr size_t kMaxWords = 128;

/// Calls a compiled function that takes words.size() 64-bit arguments and
/// returns nothing. There must be at most kMaxWords.
void callExpanded(void *function, llvm::ArrayRef<int64_t> words);
// [/words]

/// The most nodes that are compiled as one function. (For the IR there is no
/// such limit.)
inline constexpr size_t kMaxNodes = 10000;

/// Machine code of one IR text.
class Code {
public:
  explicit Code(mlir::ModuleOp lowered);
  void call(llvm::ArrayRef<int64_t> words) const {
    callExpanded(address, words);
  }

private:
  ch1::Jit jit;
  void *address;
};

/// Code by IR text. Never destroyed: at the end of the process a thread may
/// still be computing.
ch3::Cache<Code> &cache();

// [function]
/// A compiled value. Needs neither the graph nor the cache any more, and may be
/// called from several threads at once.
class Function {
public:
  /// Compiles `value`, or `ir` in its place; takes it from the cache where the
  /// same IR was compiled before. Call it without the GIL.
  Function(const GraphValue &value, const std::string &name,
           const ch1::Text &ir, bool fuse);

  /// Checks the arrays, makes the result, calls. Needs the GIL, which it
  /// releases while the code runs.
  pybind11::array operator()(const pybind11::sequence &arrays) const;

  /// "mlp((4, 3), (3, 5)) -> (4, 5)"
  std::string signature() const;
  std::string argumentList() const;

  struct Argument {
    std::string text; // "variable #2 of shape (3,)"
    int64_t variable; // 2
    Shape shape;
  };
  std::string name;
  std::vector<Argument> arguments;
  Shape resultShape;

private:
  std::shared_ptr<const Code> code;
};
// [/function]

} // namespace ch7
