// graph.cpp - nodes, their shapes, and what is said where shapes do not fit.
//
//   add, mul   a and b of one shape, or b a row that fits the rows of a
//   matmul     [M, K] x [K, N] -> [M, N], or the same for each of B pairs
//   relu       any shape
//   softmax    any shape, over the last axis
//
// First step of the chapter: here -> ir.cpp -> lowering.cpp -> jit.cpp. A
// mistake in shapes is found here, in the line of Python that makes it, where
// both operands still have names. MLIR would find it too, much later.
#include "ch7/Graph.h"

#include "ch1/Arrays.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <stdexcept>

using ch1::shapeText;
using llvm::ArrayRef;

namespace ch7 {

std::string opName(Op op) {
  switch (op) {
  case Op::Variable:
    return "variable";
  case Op::Add:
    return "add";
  case Op::Mul:
    return "mul";
  case Op::Matmul:
    return "matmul";
  case Op::Relu:
    return "relu";
  case Op::Softmax:
    return "softmax";
  }
  return "node";
}

std::string nodeText(const Node &node) {
  return opName(node.op) + " #" + std::to_string(node.number) + " of shape " +
         shapeText(node.shape);
}

// [mismatch]
/// "matmul: a is variable #0 of shape (3, 4), b is relu #5 of shape (5, 2):
/// expected 4 rows in b, got 5"
[[noreturn]] static void mismatch(Op op, const Node &a, const Node &b,
                                  const std::string &what) {
  throw std::invalid_argument(opName(op) + ": a is " + nodeText(a) + ", b is " +
                              nodeText(b) + ": " + what);
}
// [/mismatch]

/// Also counts a size of 0 as 1, so that no product of some sizes overflows.
static bool tooLarge(ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    if (llvm::MulOverflow(elements, std::max<int64_t>(size, 1), elements) ||
        elements > kMaxElements)
      return true;
  return false;
}

void Graph::checkOwn(const GraphValue &value, const std::string &what) const {
  if (value.graph.get() != this)
    throw std::invalid_argument(what + " is " + nodeText(*value.node) +
                                " of another graph");
}

GraphValue Graph::make(Op op, ArrayRef<const Node *> operands,
                       ArrayRef<int64_t> shape) {
  if (tooLarge(shape))
    throw std::invalid_argument(opName(op) + ": the result would have shape " +
                                shapeText(shape) + ", more than " +
                                std::to_string(kMaxElements) + " elements");
  int64_t number = nodes.size();
  nodes.push_back(
      std::make_unique<const Node>(Node{op,
                                        number,
                                        {operands.begin(), operands.end()},
                                        {shape.begin(), shape.end()}}));
  return {shared_from_this(), nodes.back().get()};
}

GraphValue Graph::variable(ArrayRef<int64_t> shape) {
  if (shape.empty() || shape.size() > kMaxRank)
    throw std::invalid_argument("variable: expected 1 to 3 sizes, got shape " +
                                shapeText(shape));
  if (llvm::any_of(shape, [](int64_t size) { return size < 0; })) {
    std::string sizes; // not by shapeText, which has a word for -1
    for (int64_t size : shape)
      sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    throw std::invalid_argument(
        "variable: expected sizes of 0 or more, got shape (" + sizes +
        (shape.size() == 1 ? ",)" : ")"));
  }
  return make(Op::Variable, {}, shape);
}

// [elementwise]
/// b has a's shape, or is a row: one number for each column of a.
GraphValue Graph::elementwise(Op op, const GraphValue &a, const GraphValue &b) {
  checkOwn(a, opName(op) + ": a");
  checkOwn(b, opName(op) + ": b");
  const Shape &shape = a.node->shape, &other = b.node->shape;
  Shape row = {shape.back()};
  if (other != shape && other != row)
    mismatch(op, *a.node, *b.node,
             "expected b of shape " + shapeText(shape) +
                 (shape.size() == 1 ? "" : " or " + shapeText(row)));
  return make(op, {a.node, b.node}, shape);
}
// [/elementwise]

GraphValue Graph::add(const GraphValue &a, const GraphValue &b) {
  return elementwise(Op::Add, a, b);
}

GraphValue Graph::mul(const GraphValue &a, const GraphValue &b) {
  return elementwise(Op::Mul, a, b);
}

// [matmul]
/// [M, K] x [K, N] -> [M, N]; [B, M, K] x [B, K, N] -> [B, M, N]
GraphValue Graph::matmul(const GraphValue &a, const GraphValue &b) {
  checkOwn(a, "matmul: a");
  checkOwn(b, "matmul: b");
  ArrayRef<int64_t> left = a.node->shape, right = b.node->shape;
  auto fail = [&](const std::string &what) {
    mismatch(Op::Matmul, *a.node, *b.node, what);
  };
  if (left.size() < 2 || left.size() != right.size())
    fail("expected two matrices, or two stacks of matrices");
  if (left.drop_back(2) != right.drop_back(2))
    fail("expected " + std::to_string(left[0]) + " matrices in b, got " +
         std::to_string(right[0]));
  int64_t columns = left.back(), rows = right[right.size() - 2];
  if (columns != rows)
    fail("expected " + std::to_string(columns) + " rows in b, got " +
         std::to_string(rows));
  Shape shape(left);
  shape.back() = right.back();
  return make(Op::Matmul, {a.node, b.node}, shape);
}
// [/matmul]

GraphValue Graph::unary(Op op, const GraphValue &x) {
  checkOwn(x, opName(op) + ": x");
  return make(op, {x.node}, x.node->shape);
}

GraphValue Graph::relu(const GraphValue &x) { return unary(Op::Relu, x); }

GraphValue Graph::softmax(const GraphValue &x) { return unary(Op::Softmax, x); }

// [in-order]
std::vector<const Node *> inOrder(const Node &value) {
  std::vector<const Node *> order;
  llvm::DenseSet<const Node *> done;
  std::vector<const Node *> stack = {&value}; // the recursion's, on the heap
  while (!stack.empty()) {
    const Node *node = stack.back();
    if (done.contains(node)) { // used twice, and emitted for the other use
      stack.pop_back();
      continue;
    }
    size_t waiting = stack.size();
    for (const Node *operand : llvm::reverse(node->operands))
      if (!done.contains(operand))
        stack.push_back(operand);
    if (stack.size() > waiting)
      continue; // operands first; we come back to this node after them
    done.insert(node);
    order.push_back(node);
    stack.pop_back();
  }
  return order;
}
// [/in-order]

std::vector<const Node *> variablesOf(const Node &value) {
  std::vector<const Node *> variables = inOrder(value);
  llvm::erase_if(variables,
                 [](const Node *node) { return node->op != Op::Variable; });
  llvm::sort(variables, [](const Node *a, const Node *b) {
    return a->number < b->number;
  });
  return variables;
}

} // namespace ch7
