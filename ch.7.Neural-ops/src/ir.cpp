// ir.cpp - a graph becomes a function of linalg ops on tensors.
//
//   y = relu(x @ w + b)        func.func @y(%x, %w, %b) -> tensor<4x5xf32> {
//                                linalg.fill 0, linalg.matmul
//                                linalg.broadcast %b, linalg.add
//                                linalg.fill 0, linalg.max
//                              }
//
// Second step of the chapter. Every op here says one thing and has a loop nest
// of its own; that most of them need none is lowering.cpp's affair. Nothing
// recurses: a graph may be as deep as memory allows.
#include "ch7/Lowering.h"
#include "ch7/Program.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringExtras.h"
#include <limits>
#include <stdexcept>

using namespace mlir;

namespace ch7 {

//===----------------------------------------------------------------------===//
// What the ops are built from
//===----------------------------------------------------------------------===//

static RankedTensorType tensorType(MLIRContext *context,
                                   ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, Float32Type::get(context));
}

static ArrayRef<int64_t> shapeOf(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getShape();
}

/// A tensor without values: linalg wants to know what a result's shape is.
static Value empty(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape) {
  return tensor::EmptyOp::create(b, shape, b.getF32Type());
}

static Value filled(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape,
                    float value) {
  Value number = arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  return linalg::FillOp::create(b, number, empty(b, shape)).getResult(0);
}

// [elementwise]
/// A named op of one loop for each dimension, such as linalg.add.
template <typename LinalgOp>
static Value elementwise(ImplicitLocOpBuilder &b, ValueRange operands) {
  Value out = empty(b, shapeOf(operands[0]));
  return LinalgOp::create(b, operands, out).getResult(0);
}

/// `x` repeated along those dimensions of `shape` that it does not have.
static Value broadcast(ImplicitLocOpBuilder &b, Value x,
                       ArrayRef<int64_t> shape,
                       ArrayRef<int64_t> newDimensions) {
  if (newDimensions.empty())
    return x;
  return linalg::BroadcastOp::create(b, x, empty(b, shape), newDimensions)
      ->getResult(0);
}

/// [..., N] op [..., N] or [..., N] op [N]: the row is repeated for each row.
template <typename LinalgOp>
static Value withRow(ImplicitLocOpBuilder &b, Value a, Value other) {
  ArrayRef<int64_t> shape = shapeOf(a);
  int64_t missing = shape.size() - shapeOf(other).size();
  auto leading = llvm::to_vector(llvm::seq<int64_t>(0, missing));
  return elementwise<LinalgOp>(b, {a, broadcast(b, other, shape, leading)});
}
// [/elementwise]

/// [..., N] -> [...]: all numbers of a row put together by one scalar op.
template <typename ScalarOp>
static Value reduceRows(ImplicitLocOpBuilder &b, Value x, float start) {
  ArrayRef<int64_t> shape = shapeOf(x);
  Value init = filled(b, shape.drop_back(), start);
  int64_t last = shape.size() - 1;
  auto reduce = linalg::ReduceOp::create(
      b, ValueRange{x}, ValueRange{init}, last,
      [](OpBuilder &nested, Location loc, ValueRange pair) {
        Value both = ScalarOp::create(nested, loc, pair[0], pair[1]);
        linalg::YieldOp::create(nested, loc, both);
      });
  return reduce->getResult(0);
}

//===----------------------------------------------------------------------===//
// One function for each op of the graph that is more than one op of linalg
//===----------------------------------------------------------------------===//

static Value matmul(ImplicitLocOpBuilder &b, Value lhs, Value rhs) {
  SmallVector<int64_t> shape(shapeOf(lhs));
  shape.back() = shapeOf(rhs).back();
  Value zero = filled(b, shape, 0.0f); // both ops add to what is there
  if (shape.size() == 2)
    return linalg::MatmulOp::create(b, ValueRange{lhs, rhs}, zero).getResult(0);
  return linalg::BatchMatmulOp::create(b, ValueRange{lhs, rhs}, zero)
      .getResult(0);
}

static Value relu(ImplicitLocOpBuilder &b, Value x) {
  return elementwise<linalg::MaxOp>(b, {x, filled(b, shapeOf(x), 0.0f)});
}

// [softmax]
/// ch.6's three steps, on tensors: max, exp and sum, quotient.
static Value softmax(ImplicitLocOpBuilder &b, Value x) {
  ArrayRef<int64_t> shape = shapeOf(x);
  int64_t last = shape.size() - 1;
  float lowest = -std::numeric_limits<float>::infinity();
  Value max = reduceRows<arith::MaximumFOp>(b, x, lowest);
  Value below =
      elementwise<linalg::SubOp>(b, {x, broadcast(b, max, shape, last)});
  Value exp = elementwise<linalg::ExpOp>(b, below);
  Value sum = reduceRows<arith::AddFOp>(b, exp, 0.0f);
  return elementwise<linalg::DivOp>(b, {exp, broadcast(b, sum, shape, last)});
}
// [/softmax]

// [emit]
static Value emit(ImplicitLocOpBuilder &b, const Node &node,
                  ArrayRef<Value> operands) {
  switch (node.op) {
  case Op::Variable:
    break; // an argument
  case Op::Add:
    return withRow<linalg::AddOp>(b, operands[0], operands[1]);
  case Op::Mul:
    return withRow<linalg::MulOp>(b, operands[0], operands[1]);
  case Op::Matmul:
    return matmul(b, operands[0], operands[1]);
  case Op::Relu:
    return relu(b, operands[0]);
  case Op::Softmax:
    return softmax(b, operands[0]);
  }
  return {};
}
// [/emit]

FunctionType functionType(MLIRContext *context, const Node &value) {
  SmallVector<Type> types;
  for (const Node *variable : variablesOf(value))
    types.push_back(tensorType(context, variable->shape));
  return FunctionType::get(context, types, tensorType(context, value.shape));
}

// [build-module]
OwningOpRef<ModuleOp> buildModule(MLIRContext *context, const Node &value,
                                  StringRef name) {
  ImplicitLocOpBuilder b(UnknownLoc::get(context), context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(b.getLoc());
  b.setInsertionPointToEnd(module->getBody());
  auto function = func::FuncOp::create(b, name, functionType(context, value));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);

  // The IR's value of each node that has been emitted.
  llvm::DenseMap<const Node *, Value> values;
  for (auto [i, variable] : llvm::enumerate(variablesOf(value))) {
    values[variable] = entry->getArgument(i);
    // It is the caller's array: no buffer to compute in.
    function.setArgAttr(i,
                        bufferization::BufferizationDialect::kWritableAttrName,
                        b.getBoolAttr(false));
  }
  // [emit-nodes]
  for (const Node *node : inOrder(value)) {
    if (node->op == Op::Variable)
      continue;
    SmallVector<Value> operands;
    for (const Node *operand : node->operands)
      operands.push_back(values.lookup(operand));
    values[node] = emit(b, *node, operands);
  }
  // [/emit-nodes]
  func::ReturnOp::create(b, values.lookup(&value));

  ch1::verifyOrThrow(*module);
  return module;
}
// [/build-module]

static bool isIdentifier(StringRef name) {
  return !name.empty() && !llvm::isDigit(name[0]) &&
         llvm::all_of(name,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

ch1::Recipe recipe(const Node &value, const std::string &name, bool fuse) {
  if (!isIdentifier(name))
    throw std::invalid_argument("name: expected letters, digits and "
                                "underscores, no digit first, got '" +
                                name + "'");
  return {
      name,
      [&value](MLIRContext *context) { return functionType(context, value); },
      registerDialects,
      [&value, name](MLIRContext *context) {
        return buildModule(context, value, name);
      },
      [fuse](PassManager &passes) { buildLowering(passes, fuse); }};
}

} // namespace ch7
