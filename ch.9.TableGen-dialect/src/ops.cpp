//===- ops.cpp - the ops of nn, as functions of expressions ---------------===//
//
//   Python: relu(x) -> here: shapes checked, sentences for the caller
//                   -> a node "nn.relu", from which graph.cpp makes the op
//
// The op's verifier checks the same again for whoever writes IR by hand; here
// the message names the Python argument.
//
//===----------------------------------------------------------------------===//

#include "ch9/Ops.h"

#include <stdexcept>

namespace ch9 {

using ch1::kAnySize;

static Shape shapeOf(const Tensor &t) {
  return Shape(t.shape().begin(), t.shape().end());
}

/// The dialect has vectors and matrices.
static const Tensor &checkRank(const Tensor &t, const char *name) {
  if (t.rank() > 2)
    throw std::invalid_argument(std::string(name) +
                                ": expected rank 1 or 2, got shape " +
                                ch1::shapeText(t.shape()));
  return t;
}

/// A matrix whose number of rows a program must know.
static void checkRows(const Tensor &t, const char *name) {
  if (t->anyRows)
    throw std::invalid_argument(
        std::string(name) +
        ": expected a matrix whose number of rows is part "
        "of the structure, got rows() of shape " +
        ch1::shapeText(t.shape()));
}

// [binary]
static Tensor binary(const char *op, const Tensor &a, const Tensor &b) {
  checkRank(a, "a");
  bool isRow = b.rank() == 1 && a.shape().back() == b.shape()[0];
  if (a.shape() != b.shape() && !isRow) {
    std::string rows =
        a.rank() > 1
            ? ", or " + ch1::shapeText(a.shape().back()) + " for every row"
            : "";
    throw std::invalid_argument("b: expected shape " +
                                ch1::shapeText(a.shape()) + " as a's" + rows +
                                ", got " + ch1::shapeText(b.shape()));
  }
  if (!isRow && a->anyRows != b->anyRows)
    throw std::invalid_argument(
        "a, b: expected both to be rows() or neither, since rows() may have "
        "another number of rows in the next call");
  return makeNode(op, {a, b}, {}, shapeOf(a));
}

Tensor add(const Tensor &a, const Tensor &b) { return binary("nn.add", a, b); }
Tensor mul(const Tensor &a, const Tensor &b) { return binary("nn.mul", a, b); }
// [/binary]

Tensor matmul(const Tensor &a, const Tensor &b) {
  expectShape(a, "a", {kAnySize, kAnySize});
  expectShape(b, "b", {a.shape()[1], kAnySize});
  checkRows(b, "b");
  return makeNode("nn.matmul", {a, b}, {}, {a.shape()[0], b.shape()[1]});
}

Tensor transpose(const Tensor &x) {
  expectShape(x, "x", {kAnySize, kAnySize});
  checkRows(x, "x");
  return makeNode("nn.transpose", {x}, {}, {x.shape()[1], x.shape()[0]});
}

Tensor relu(const Tensor &x) {
  return makeNode("nn.relu", {checkRank(x, "x")}, {}, shapeOf(x));
}

Tensor softmax(const Tensor &x) {
  return makeNode("nn.softmax", {checkRank(x, "x")}, {}, shapeOf(x));
}

Tensor linear(const Tensor &x, const Tensor &w,
              const std::optional<Tensor> &b) {
  expectShape(x, "x", {kAnySize, kAnySize});
  expectShape(w, "w", {kAnySize, x.shape()[1]});
  checkRows(w, "w");
  std::vector<Tensor> operands = {x, w};
  if (b) {
    expectShape(*b, "b", {w.shape()[0]});
    operands.push_back(*b);
  }
  return makeNode("nn.linear", std::move(operands), {},
                  {x.shape()[0], w.shape()[0]});
}

} // namespace ch9
