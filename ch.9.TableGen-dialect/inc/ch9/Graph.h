//===- Graph.h - expressions, and the functions they become ---------------===//
//
//   Tensor x = leaf(array)            nothing is computed yet
//   Tensor y = add(matmul(x, w), b)   a node for each call
//   Graph({y})                        the nodes in order, and a key
//   buildModule(context, graph)       one func.func with one op for each node
//
// A chapter that adds an op writes one function that checks the shapes and
// calls makeNode() with the op's name; nothing in here knows any op.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ch1/Arrays.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ch9 {

enum class Element { F32, I32 };
using Shape = llvm::SmallVector<int64_t>;

/// An op's attribute: a unit attribute, an i64, an f32, or a list of i64.
struct Flag {};
using AttributeValue = std::variant<Flag, int64_t, float, std::vector<int64_t>>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

struct Node;

/// A value of an expression. Copies share the node. Needs the GIL, since a leaf
/// owns a NumPy array.
class Tensor {
public:
  explicit Tensor(std::shared_ptr<Node> node) : node(std::move(node)) {}
  const Node *operator->() const { return node.get(); }
  llvm::ArrayRef<int64_t> shape() const;
  int64_t rank() const { return shape().size(); }

private:
  friend struct Node;
  std::shared_ptr<Node> node;
};

// [node]
struct Node {
  std::string op; // "transformer.add"; empty for a leaf
  std::vector<Tensor> operands;
  Attributes attributes;
  Shape shape;
  Element element = Element::F32;
  pybind11::array data; // a leaf's numbers, any strides; never written

  ~Node();
};
// [/node]

/// The largest number of elements of one tensor: 8 GiB of f32.
inline constexpr int64_t kMaxElements = int64_t(1) << 31;

/// An array (float32 or int32, checked by the caller) as a value.
Tensor leaf(const pybind11::array &array);

/// The result of `op`. Throws std::invalid_argument, a ValueError in Python,
/// where it would have more than kMaxElements elements.
Tensor makeNode(std::string op, std::vector<Tensor> operands,
                Attributes attributes, Shape shape,
                Element element = Element::F32);

/// Throws std::invalid_argument unless the sizes are `shape`, in which
/// ch1::kAnySize matches any.
void expectShape(const Tensor &tensor, const std::string &name,
                 llvm::ArrayRef<int64_t> shape);

// [graph]
/// Everything that some values need, each node once, operands first.
struct Graph {
  explicit Graph(llvm::ArrayRef<Tensor> outputs);

  std::vector<const Node *> order;
  std::vector<const Node *> leaves; // the function's arguments
  std::vector<size_t> outputs;      // positions in `order`

  /// Ops, operands (so: what is shared), attributes, shapes and element types;
  /// no data. Two graphs with one key are served by one compiled function.
  std::string key;
};
// [/graph]

/// @forward: one argument for each leaf (tensors, read only), then one buffer
/// for each output. Throws ch1::CompileError where an op's verifier objects.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext *context,
                                              const Graph &graph);

} // namespace ch9
