//===- graph.cpp - expressions, and the functions they become -------------===//
//
//   y = (x @ w + b) + x      y         add
//                           / \
//                         add  \       order: x, w, matmul, b, add, add
//                         / \   \      (x once, although it is used twice)
//                   matmul   b   |
//                     /  \       |
//                    x    w      x
//
// Between Python and the dialect: ops.cpp makes the nodes, here they become a
// func.func, jit.cpp compiles that. Nothing recurses: an expression may be as
// deep as memory allows.
//
//===----------------------------------------------------------------------===//

#include "ch9/Graph.h"

#include "ch9/AlignedArray.h"

#include "ch1/Diagnostics.h"
#include "ch1/Pipeline.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace ch9 {

ArrayRef<int64_t> Tensor::shape() const { return node->shape; }

// [destroy]
/// The compiler's destructor would follow operands, their operands and so on,
/// one stack frame for each: too deep for a long expression. So whoever dies
/// last takes the operands of the nodes that die with it.
Node::~Node() {
  std::vector<Tensor> dying = std::move(operands);
  while (!dying.empty()) {
    Tensor last = std::move(dying.back());
    dying.pop_back();
    if (last.node.use_count() != 1)
      continue; // somebody else still holds it
    for (Tensor &operand : last.node->operands)
      dying.push_back(std::move(operand));
    last.node->operands.clear();
  }
}
// [/destroy]

Tensor leaf(const pybind11::array &array, LeafKind kind) {
  auto node = std::make_shared<Node>();
  node->kind = kind;
  node->anyRows = kind == LeafKind::Rows;
  node->shape.assign(array.shape(), array.shape() + array.ndim());
  node->element = array.dtype().kind() == 'i' ? Element::I32 : Element::F32;
  node->data = kind == LeafKind::Constant ? alignedCopy(array) : array;
  return Tensor(std::move(node));
}

Tensor bf16Constant(const pybind11::array &array) {
  Tensor constant = leaf(array, LeafKind::Constant);
  constant.node->bf16 = true;
  pybind11::array data = constant->data;
  auto *numbers = static_cast<uint32_t *>(data.mutable_data());
  for (int64_t i = 0, n = data.size(); i < n; ++i) {
    uint32_t bits = numbers[i];
    bool isNaN = (bits & 0x7fffffff) > 0x7f800000;
    bits += isNaN ? 0 : 0x7fff + (bits >> 16 & 1);
    numbers[i] = (bits & 0xffff0000) | (isNaN ? 0x00400000 : 0);
  }
  return constant;
}

Tensor makeNode(std::string op, std::vector<Tensor> operands,
                Attributes attributes, Shape shape, Element element) {
  int64_t elements = 1;
  for (int64_t size : shape)
    if (llvm::MulOverflow(elements, size, elements) || elements > kMaxElements)
      throw std::invalid_argument(op + ": the result would have shape " +
                                  ch1::shapeText(shape) + ", more than " +
                                  std::to_string(kMaxElements) + " elements");
  auto node = std::make_shared<Node>();
  node->op = std::move(op);
  // A result has the rows of its first operand.
  node->anyRows = !operands.empty() && operands.front()->anyRows;
  node->operands = std::move(operands);
  node->attributes = std::move(attributes);
  node->shape = std::move(shape);
  node->element = element;
  return Tensor(std::move(node));
}

void expectShape(const Tensor &tensor, const std::string &name,
                 ArrayRef<int64_t> shape) {
  bool matches = tensor.rank() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; matches && i < shape.size(); ++i)
    matches = shape[i] == ch1::kAnySize || shape[i] == tensor.shape()[i];
  if (!matches)
    throw std::invalid_argument(name + ": expected shape " +
                                ch1::shapeText(shape) + ", got " +
                                ch1::shapeText(tensor.shape()));
}

//===----------------------------------------------------------------------===//
// The nodes in order, and the key
//===----------------------------------------------------------------------===//

/// The sizes that a program is compiled for; -1 for a free number of rows.
static Shape structuralShape(const Node &node) {
  Shape shape = node.shape;
  if (node.anyRows)
    shape[0] = ShapedType::kDynamic;
  return shape;
}

static void printKey(llvm::raw_ostream &os, const AttributeValue &value) {
  if (auto *number = std::get_if<int64_t>(&value))
    os << *number;
  else if (auto *real = std::get_if<float>(&value))
    os << llvm::format("%a", *real); // every bit of it
  else if (auto *list = std::get_if<std::vector<int64_t>>(&value))
    llvm::interleaveComma(*list, os);
}

// [walk]
/// Depth first with an explicit stack: a node is put in order when its last
/// operand has been.
Graph::Graph(ArrayRef<Tensor> values) {
  llvm::DenseMap<const Node *, size_t> position;
  llvm::raw_string_ostream os(key);

  auto finish = [&](const Node *node) {
    position[node] = order.size();
    order.push_back(node);
    if (node->op.empty())
      leaves.push_back(node);
    os << node->op << '(';
    for (const Tensor &operand : node->operands)
      os << position.lookup(operand.operator->()) << ',';
    os << "){";
    for (const auto &[name, value] : node->attributes) {
      os << name << '=';
      printKey(os, value);
      os << ';';
    }
    os << '}' << (node->kind == LeafKind::Constant ? "constant " : "")
       << (node->bf16 ? "bf16 " : "")
       << (node->element == Element::F32 ? "f32" : "i32") << '[';
    llvm::interleaveComma(structuralShape(*node), os);
    os << "]\n";
  };

  for (const Tensor &value : values) {
    // A node and how many of its operands have been looked at.
    std::vector<std::pair<const Node *, size_t>> path;
    if (!position.count(value.operator->()))
      path.emplace_back(value.operator->(), 0);
    while (!path.empty()) {
      auto &[node, next] = path.back();
      if (next == node->operands.size()) {
        finish(node);
        path.pop_back();
      } else if (const Node *operand = node->operands[next++].operator->();
                 !position.count(operand)) {
        path.emplace_back(operand, 0);
      }
    }
  }

  os << "->";
  for (const Tensor &value : values) {
    outputs.push_back(position.lookup(value.operator->()));
    os << outputs.back() << ',';
  }
}
// [/walk]

std::shared_ptr<const Graph> graphOf(ArrayRef<Tensor> outputs) {
  if (outputs.size() != 1)
    return std::make_shared<const Graph>(outputs);
  const Node *node = outputs.front().operator->();
  if (!node->graph)
    node->graph = std::make_shared<const Graph>(outputs);
  return node->graph;
}

//===----------------------------------------------------------------------===//
// Graph -> func.func
//===----------------------------------------------------------------------===//

static Type elementType(Builder &b, Element element) {
  return element == Element::F32 ? Type(b.getF32Type()) : b.getI32Type();
}

static mlir::Attribute toAttribute(Builder &b, const AttributeValue &value) {
  if (auto *number = std::get_if<int64_t>(&value))
    return b.getI64IntegerAttr(*number);
  if (auto *real = std::get_if<float>(&value))
    return b.getF32FloatAttr(*real);
  if (auto *list = std::get_if<std::vector<int64_t>>(&value))
    return b.getDenseI64ArrayAttr(*list);
  return b.getUnitAttr();
}

// [build-module]
OwningOpRef<ModuleOp> buildModule(MLIRContext *context, const Graph &graph) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  auto tensorOf = [&](const Node *node) {
    return RankedTensorType::get(structuralShape(*node),
                                 elementType(b, node->element));
  };
  auto bufferOf = [&](const Node *node) {
    return MemRefType::get(structuralShape(*node),
                           elementType(b, node->element));
  };

  // The signature: tensors in, buffers for what comes out.
  SmallVector<Type> types;
  for (const Node *node : graph.leaves)
    types.push_back(tensorOf(node));
  for (size_t output : graph.outputs)
    types.push_back(bufferOf(graph.order[output]));
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function =
      func::FuncOp::create(b, "forward", b.getFunctionType(types, {}));
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
  // An argument is the caller's array: bufferization must not compute in it.
  for (auto [i, node] : llvm::enumerate(graph.leaves)) {
    function.setArgAttr(i,
                        bufferization::BufferizationDialect::kWritableAttrName,
                        b.getBoolAttr(false));
    if (node->kind == LeafKind::Constant)
      function.setArgAttr(i, kConstantAttr,
                          b.getStringAttr(node->bf16 ? "bfloat16" : "float32"));
  }
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  // One op for each node, made by its name: no op is mentioned here.
  llvm::DenseMap<const Node *, Value> values;
  for (auto [node, argument] : llvm::zip(graph.leaves, entry->getArguments()))
    values[node] = argument;
  for (const Node *node : graph.order) {
    if (node->op.empty())
      continue;
    OperationState op(b.getLoc(), node->op);
    for (const Tensor &operand : node->operands)
      op.addOperands(values.lookup(operand.operator->()));
    for (const auto &[name, value] : node->attributes)
      op.addAttribute(name, toAttribute(b, value));
    op.addTypes(tensorOf(node));
    values[node] = b.create(op)->getResult(0);
  }

  for (auto [i, output] : llvm::enumerate(graph.outputs)) {
    auto write = bufferization::MaterializeInDestinationOp::create(
        b, values.lookup(graph.order[output]),
        entry->getArgument(graph.leaves.size() + i));
    write.setRestrict(true);
    write.setWritable(true);
  }
  func::ReturnOp::create(b);
  ch1::verifyOrThrow(*module);
  return module;
}
// [/build-module]

} // namespace ch9
