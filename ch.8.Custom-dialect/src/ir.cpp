// ir.cpp - from text that nobody has checked to a module that the passes can be
// trusted with.
//
//   text --size, nesting--> parser and verifier --only these dialects-->
//   module --ops, types, attributes--> module
//
// First step of the chapter. What the other chapters build in C++ comes from
// outside here, so each step says no in a sentence. A module that passes does
// nothing that MLIR does not define, calls nothing outside of itself, and needs
// no more of the compiler than the limits in Text.h. What it still can do is
// read and write at any address, and never end: see GENERIC_BINDINGS.md.
#include "ch8/Text.h"

#include "ch1/Diagnostics.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using ch1::CompileError;

namespace ch8 {

// [dialects]
/// The dialects of a text. The llvm dialect is not among them: with it one can
/// write any address, any symbol and inline assembly.
static void registerDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect,
                  bufferization::BufferizationDialect, cf::ControlFlowDialect,
                  func::FuncDialect, linalg::LinalgDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, tensor::TensorDialect,
                  vector::VectorDialect>();
}
// [/dialects]

// [check-text]
/// The parser calls itself for each bracket that opens, so brackets are counted
/// before it runs. Comments and strings are skipped as the lexer skips them;
/// -> <= >= are no brackets.
static void checkText(StringRef text) {
  if (text.size() > kMaxTextBytes)
    throw CompileError("the text has " + std::to_string(text.size()) +
                       " bytes; at most " + std::to_string(kMaxTextBytes) +
                       " are read");
  if (text.trim().empty())
    throw CompileError("the text is empty");
  if (text.contains('\0'))
    throw CompileError("the text has a NUL character in it");
  constexpr StringRef opening = "([{<", closing = ")]}>";
  int depth[4] = {}, sum = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("//")) {
      i = text.find('\n', i);
      if (i == StringRef::npos)
        break;
    } else if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (text.substr(i).starts_with("->") ||
               text.substr(i).starts_with("<=") ||
               text.substr(i).starts_with(">=")) {
      ++i;
    } else if (size_t kind = opening.find(text[i]); kind != StringRef::npos) {
      ++depth[kind];
      if (++sum > kMaxNesting)
        throw CompileError("the text is nested deeper than " +
                           std::to_string(kMaxNesting) + " brackets");
    } else if (size_t kind = closing.find(text[i]); kind != StringRef::npos) {
      if (depth[kind] > 0)
        --depth[kind], --sum;
    }
  }
}
// [/check-text]

namespace {

/// Goes over a module once and emits an error at what the passes, LLVM or the
/// process would not survive.
class Checker {
public:
  LogicalResult check(ModuleOp module);
  bool hasTensors = false;

private:
  LogicalResult checkOp(Operation *op);
  LogicalResult checkAttributes(Operation *op);
  std::string refusalOf(Type type);
  std::string refusalOfShaped(ShapedType type);
  std::string refusalOf(Attribute attribute, int depth = 0);

  llvm::DenseSet<Type> accepted; // types seen before
  int64_t budget = 4'000'000;    // attributes to look at
};

} // namespace

std::string Checker::refusalOfShaped(ShapedType type) {
  std::string why = refusalOf(type.getElementType());
  if (!why.empty())
    return why;
  if (!type.hasRank())
    return "";
  if (type.getRank() > kMaxRankInText)
    return "a rank is at most " + std::to_string(kMaxRankInText);
  int64_t elements = 1;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isDynamic(size))
      continue;
    if (llvm::MulOverflow(elements, std::max<int64_t>(size, 1), elements) ||
        elements > kMaxShapedElements)
      return "a shape has at most 2^40 elements";
  }
  return "";
}

// [types]
/// Why text may not use a type; "" where it may.
std::string Checker::refusalOf(Type type) {
  if (!type || accepted.contains(type))
    return "";
  std::string why =
      llvm::TypeSwitch<Type, std::string>(type)
          .Case([](IntegerType type) {
            constexpr unsigned widths[] = {1, 8, 16, 32, 64};
            return type.isSignless() &&
                           llvm::is_contained(widths, type.getWidth())
                       ? ""
                       : "integers are i1, i8, i16, i32, i64 and index";
          })
          .Case<IndexType, Float16Type, BFloat16Type, Float32Type, Float64Type>(
              [](Type) { return ""; })
          .Case([](FloatType) { return "floats are f16, bf16, f32 and f64"; })
          .Case([&](VectorType type) -> std::string {
            if (type.isScalable())
              return "vectors have a fixed size";
            std::string why = refusalOfShaped(type);
            if (why.empty() && type.getNumElements() > kMaxVectorElements)
              return "a vector has at most " +
                     std::to_string(kMaxVectorElements) + " elements";
            return why;
          })
          .Case([&](BaseMemRefType type) -> std::string {
            if (type.getMemorySpace())
              return "all memory is in the default memory space";
            auto ranked = dyn_cast<MemRefType>(type);
            if (ranked && !ranked.getLayout().isIdentity() &&
                !isa<StridedLayoutAttr, AffineMapAttr>(ranked.getLayout()))
              return "a layout is strided<…> or an affine_map";
            if (isa<BaseMemRefType>(type.getElementType()))
              return "a memref holds numbers or vectors";
            return refusalOfShaped(type);
          })
          .Case([&](TensorType type) -> std::string {
            auto ranked = dyn_cast<RankedTensorType>(type);
            if (ranked && ranked.getEncoding())
              return "tensors have no encoding";
            return refusalOfShaped(type);
          })
          .Case([&](FunctionType type) -> std::string {
            for (TypeRange types : {type.getInputs(), type.getResults()})
              for (Type part : types) {
                std::string why = isa<FunctionType>(part)
                                      ? "a function takes no functions"
                                      : refusalOf(part);
                if (!why.empty())
                  return why;
              }
            return "";
          })
          .Case([](NoneType) { return ""; })
          .Default([](Type) {
            return "types are integers, floats, index, vectors, memrefs, "
                   "tensors and functions";
          });
  if (why.empty())
    accepted.insert(type);
  return why;
}
// [/types]

/// Why text may not use an attribute; "" where it may. An alias may stand for
/// another alias twice, and so on: a short text would be a giant. Hence the
/// depth and the budget.
std::string Checker::refusalOf(Attribute attribute, int depth) {
  if (depth > 8 || --budget < 0)
    return "attributes are nested too deeply";
  if (auto type = dyn_cast<TypeAttr>(attribute))
    return refusalOf(type.getValue());
  if (auto elements = dyn_cast<ElementsAttr>(attribute)) {
    if (!isa<DenseElementsAttr, DenseArrayAttr>(attribute))
      return "constants are dense";
    if (elements.getNumElements() > kMaxConstantElements)
      return "a constant has at most 2^20 elements";
  }
  if (auto typed = dyn_cast<TypedAttr>(attribute)) {
    std::string why = refusalOf(typed.getType());
    if (!why.empty())
      return why;
  }
  if (isa<ArrayAttr, DictionaryAttr>(attribute)) {
    std::string why;
    attribute.walkImmediateSubElements(
        [&](Attribute part) {
          if (why.empty())
            why = refusalOf(part, depth + 1);
        },
        [&](Type) {});
    return why;
  }
  return "";
}

/// Attributes that no dialect here defines would reach LLVM unverified
/// ("llvm.linkage", "personality", "passthrough").
LogicalResult Checker::checkAttributes(Operation *op) {
  for (NamedAttribute named : op->getAttrs()) {
    std::string why = refusalOf(named.getValue());
    if (!why.empty())
      return op->emitError("attribute '")
             << named.getName().getValue() << "' is refused: " << why;
  }
  if (isa<func::FuncOp>(op))
    op->removeAttr("llvm.emit_c_interface"); // of no use here
  for (NamedAttribute named : op->getDiscardableAttrs())
    if (!named.getNameDialect())
      return op->emitError("attribute '")
             << named.getName().getValue()
             << "' is refused: the operation does not define it";
  if (auto function = dyn_cast<func::FuncOp>(op))
    for (ArrayAttr list :
         {function.getArgAttrsAttr(), function.getResAttrsAttr()})
      for (Attribute item : list ? list.getValue() : ArrayRef<Attribute>())
        if (!cast<DictionaryAttr>(item).empty())
          return op->emitError(
              "attributes of arguments and results are refused");
  return success();
}

// [ops]
LogicalResult Checker::checkOp(Operation *op) {
  auto refuse = [&](const char *why) {
    return op->emitError("'") << op->getName() << "' is refused: " << why;
  };
  if (isa<ModuleOp>(op))
    return refuse("a text is one module");
  if (isa<UnrealizedConversionCastOp>(op))
    return refuse("it makes values of any type out of any others");
  if (isa<cf::AssertOp>(op))
    return refuse("an assertion that fails would end the process");
  if (isa<vector::PrintOp>(op))
    return refuse("it needs a library that is not loaded here");
  auto function = dyn_cast<func::FuncOp>(op);
  if (function && function.isDeclaration())
    return op->emitError("@") << function.getName()
                              << " is declared and not defined; a text can "
                                 "call only what it defines";
  auto global = dyn_cast<memref::GlobalOp>(op);
  if (global && global.isExternal())
    return op->emitError("@") << global.getName()
                              << " is declared and not defined; give it an "
                                 "initial value, or say uninitialized";
  if (isa<SymbolOpInterface>(op) && !isa<ModuleOp>(op->getParentOp()))
    return refuse("it belongs at the top of the text");
  return success();
}
// [/ops]

LogicalResult Checker::check(ModuleOp module) {
  if (failed(checkAttributes(module)))
    return failure();
  WalkResult walked = module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (op == module)
      return WalkResult::advance();
    if (failed(checkAttributes(op)) || failed(checkOp(op)))
      return WalkResult::interrupt();
    SmallVector<Type> types(op->getResultTypes());
    for (Region &region : op->getRegions())
      for (Block &block : region)
        llvm::append_range(types, block.getArgumentTypes());
    for (Type type : types) {
      hasTensors |= isa<TensorType>(type);
      std::string why = refusalOf(type);
      if (!why.empty()) {
        op->emitError("type ") << type << " is refused: " << why;
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

// [read]
Source read(const std::string &text) {
  checkText(text);
  Source source;
  DialectRegistry registry;
  registerDialects(registry);
  source.context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  source.context->loadAllAvailableDialects();
  source.module = ch1::parse(source.context.get(), text);

  ch1::DiagnosticCollector diagnostics(source.context.get());
  // An error gives a line and a column; the operation itself may be a giant.
  source.context->printOpOnDiagnostic(false);
  Checker checker;
  if (failed(checker.check(*source.module)))
    diagnostics.raise("the text is refused");
  source.context->printOpOnDiagnostic(true);
  source.hasTensors = checker.hasTensors;
  for (auto function : source.module->getOps<func::FuncOp>()) {
    Entry &entry = source.functions[function.getName().str()];
    try {
      entry.signature = signatureOf(function);
    } catch (const CompileError &refusal) {
      entry.refusal = refusal.what();
    }
  }
  return source;
}
// [/read]

} // namespace ch8
