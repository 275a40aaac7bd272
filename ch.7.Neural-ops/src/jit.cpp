// jit.cpp - a value, compiled: from the cache where it is there, and called.
//
//   value --print--> IR text --+-- in the cache -----------------> Function
//                              +-- lower, compile (ch.1) --------> Function
//
// Fourth step of the chapter. The text is the key: whatever two graphs were
// made of, one text is one function.
#include "ch7/Program.h"

#include "ch1/Arrays.h"
#include "ch1/Diagnostics.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/SymbolTable.h"
#include <stdexcept>

namespace py = pybind11;
using namespace mlir;

namespace ch7 {

/// The name in machine code. Not the user's: a function that is called `expf`
/// would take the place of libm's. No C function has a dot in its name.
static constexpr const char *kEntry = "ch7.entry";

Code::Code(ModuleOp lowered) : jit(lowered), address(jit.lookup(kEntry)) {}

ch3::Cache<Code> &cache() {
  static auto &cache = *new ch3::Cache<Code>();
  return cache;
}

// [compile]
static std::shared_ptr<const Code> compile(const ch1::Recipe &recipe,
                                           const std::string &text) {
  ch1::Built built(recipe, text);
  auto function = built.module->lookupSymbol<func::FuncOp>(recipe.function);
  // A reader's IR may have forgotten it: no argument is written into.
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    function.setArgAttr(i,
                        bufferization::BufferizationDialect::kWritableAttrName,
                        BoolAttr::get(built.context.get(), false));
  // We call the function itself, with all its words.
  function->removeAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName());
  SymbolTable symbols(*built.module);
  if (symbols.lookup(kEntry) || failed(symbols.rename(function, kEntry)))
    throw ch1::CompileError("the IR uses the name " + std::string(kEntry));

  PassManager passes(built.context.get());
  recipe.lowering(passes);
  ch1::runPipeline(passes, *built.module);
  return std::make_shared<const Code>(*built.module);
}
// [/compile]

static size_t numWords(const Function &function) {
  size_t words = numWords(function.resultShape.size());
  for (const Function::Argument &argument : function.arguments)
    words += numWords(argument.shape.size());
  return words;
}

// [get]
Function::Function(const GraphValue &value, const std::string &name,
                   const ch1::Text &ir, bool fuse)
    : name(name), resultShape(value.node->shape) {
  size_t nodes = inOrder(*value.node).size();
  if (nodes > kMaxNodes)
    throw std::invalid_argument(
        name + ": the value needs " + std::to_string(nodes) + " nodes; up to " +
        std::to_string(kMaxNodes) + " are compiled at once");
  for (const Node *variable : variablesOf(*value.node))
    arguments.push_back(
        {nodeText(*variable), variable->number, variable->shape});
  size_t words = numWords(*this);
  if (words > kMaxWords)
    throw std::invalid_argument(name + ": a call would take " +
                                std::to_string(words) + " words for " +
                                std::to_string(arguments.size()) +
                                " variables and the result; there "
                                "are wrappers for up to " +
                                std::to_string(kMaxWords));
  // [key]
  ch1::Recipe recipe = ch7::recipe(*value.node, name, fuse);
  std::string text = ir ? *ir : ch1::print(*ch1::Built(recipe).module);
  // Besides the text: the type that it must have, and the passes.
  std::string key = signature() + (fuse ? " fused\n" : "\n") + text;
  code = cache().get(key, [&] { return compile(recipe, text); });
  // [/key]
}
// [/get]

std::string Function::signature() const {
  std::string text;
  for (const Argument &argument : arguments)
    text += (text.empty() ? "" : ", ") + ch1::shapeText(argument.shape);
  return name + "(" + text + ") -> " + ch1::shapeText(resultShape);
}

/// "2 (variable #0 of shape (4, 3), variable #2 of shape (3,))"
std::string Function::argumentList() const {
  std::string text;
  for (const Argument &argument : arguments)
    text += (text.empty() ? "" : ", ") + argument.text;
  return std::to_string(arguments.size()) + " (" + text + ")";
}

// [call]
static void append(SmallVectorImpl<int64_t> &words, const py::array &array) {
  ch1::Descriptor descriptor(array);
  auto first = static_cast<const int64_t *>(descriptor.get());
  words.append(first, first + numWords(array.ndim()));
}

py::array Function::operator()(const py::sequence &arrays) const {
  if (arrays.size() != arguments.size())
    throw std::invalid_argument("arrays: expected " + argumentList() +
                                ", got " + std::to_string(arrays.size()));
  // [each-array]
  std::vector<py::array> inputs; // alive until the call is over
  SmallVector<int64_t, kMaxWords> words;
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    std::string what = "arrays[" + std::to_string(i) + "], variable #" +
                       std::to_string(argument.variable);
    inputs.push_back(ch1::contiguous(
        ch1::checkArray(arrays[i], what, "float32", argument.shape)));
    append(words, inputs.back());
  }
  // [/each-array]
  py::array_t<float> result(
      std::vector<py::ssize_t>(resultShape.begin(), resultShape.end()));
  append(words, result);
  {
    py::gil_scoped_release release;
    code->call(words);
  }
  return std::move(result);
}
// [/call]

} // namespace ch7
