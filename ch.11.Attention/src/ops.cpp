//===- ops.cpp - the ops of this chapter, as functions of expressions -----===//
//
//   Python: attention(q, k, v, 4)
//     -> here: shapes checked, sentences for the caller
//     -> a node "transformer.attention", from which graph.cpp makes the op
//
// The op's verifier checks the same again for whoever writes IR by hand; here
// the message names the Python argument.
//
//===----------------------------------------------------------------------===//

#include "ch11/Ops.h"

#include <stdexcept>

using llvm::ArrayRef;

using namespace ch9;

namespace ch11 {

static Shape shapeOf(const Tensor &t) {
  return Shape(t.shape().begin(), t.shape().end());
}

static std::string number(int64_t n) { return std::to_string(n); }

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

static Tensor binary(const char *op, const Tensor &a, const Tensor &b) {
  bool rowVector =
      a.rank() > 1 && b.rank() == 1 && a.shape().back() == b.shape()[0];
  if (a.shape() != b.shape() && !rowVector)
    throw std::invalid_argument(
        "b: expected shape " + ch1::shapeText(a.shape()) + " as a's, or (" +
        number(a.shape().back()) + ",) for every row, got " +
        ch1::shapeText(b.shape()));
  return makeNode(op, {a, b}, {}, shapeOf(a));
}

Tensor add(const Tensor &a, const Tensor &b) {
  return binary("transformer.add", a, b);
}

Tensor mul(const Tensor &a, const Tensor &b) {
  return binary("transformer.mul", a, b);
}

Tensor scale(const Tensor &t, float factor) {
  return makeNode("transformer.scale", {t}, {{"factor", factor}}, shapeOf(t));
}

// [softmax]
Tensor softmax(const Tensor &t) {
  return makeNode("transformer.softmax", {t}, {}, shapeOf(t));
}
// [/softmax]

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

static void expectMatrices(const Tensor &t, const char *name) {
  if (t.rank() != 2 && t.rank() != 3)
    throw std::invalid_argument(std::string(name) +
                                ": expected rank 2 or 3, got shape " +
                                ch1::shapeText(t.shape()));
}

Tensor matmul(const Tensor &a, const Tensor &b) {
  expectMatrices(a, "a");
  Shape expected = shapeOf(a); // [.., K, any]
  expected[a.rank() - 2] = a.shape().back();
  expected.back() = ch1::kAnySize;
  expectShape(b, "b", expected);
  Shape shape = shapeOf(a);
  shape.back() = b.shape().back();
  return makeNode("transformer.matmul", {a, b}, {}, shape);
}

Tensor transpose(const Tensor &t) {
  expectMatrices(t, "t");
  std::vector<int64_t> permutation = {1, 0};
  if (t.rank() == 3)
    permutation = {0, 2, 1};
  Shape shape;
  for (int64_t axis : permutation)
    shape.push_back(t.shape()[axis]);
  return makeNode("transformer.transpose", {t}, {{"permutation", permutation}},
                  shape);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

Tensor attention(const Tensor &q, const Tensor &k, const Tensor &v,
                 int64_t numHeads, bool causal, int64_t past) {
  expectShape(q, "q", {ch1::kAnySize, ch1::kAnySize});
  int64_t queries = q.shape()[0], width = q.shape()[1];
  expectShape(k, "k", {causal ? past + queries : ch1::kAnySize, width});
  int64_t keys = k.shape()[0];
  expectShape(v, "v", {keys, ch1::kAnySize});
  if (past < 0 || (past && !causal))
    throw std::invalid_argument("past: expected 0, or more with causal, got " +
                                number(past));
  if (numHeads < 1)
    throw std::invalid_argument("num_heads: expected at least 1, got " +
                                number(numHeads));
  for (auto [name, columns] :
       {std::pair("q", width), std::pair("v", v.shape()[1])})
    if (columns == 0 || columns % numHeads != 0)
      throw std::invalid_argument(
          "num_heads: expected a divisor of the columns of " +
          std::string(name) + ", " + number(columns) + ", got " +
          number(numHeads));
  // The op makes all scores at once: they must fit.
  if (keys > 0 && queries > kMaxElements / keys / numHeads)
    throw std::invalid_argument("attention: the scores would have shape " +
                                ch1::shapeText({numHeads, queries, keys}) +
                                ", more than " + number(kMaxElements) +
                                " elements");

  Attributes attributes = {{"num_heads", numHeads}};
  if (causal)
    attributes.push_back({"causal", Flag()});
  if (past)
    attributes.push_back({"past", past});
  return makeNode("transformer.attention", {q, k, v}, attributes,
                  {queries, v.shape()[1]});
}

} // namespace ch11
