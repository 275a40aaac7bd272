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

#include <map>
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

/// What is known of a leaf's numbers when a program is compiled: their shape;
/// the shape but for the number of rows; that they never change.
enum class LeafKind { Array, Rows, Constant };

struct Node;
struct Graph;

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
  friend Tensor bf16Constant(const pybind11::array &array);
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
  LeafKind kind = LeafKind::Array;
  bool anyRows = false; // the first size is no part of the structure
  bool bf16 = false;    // a constant whose numbers are bfloat16's
  /// A constant's numbers in other orders, by the order's name. A program asks
  /// for them (Compiler.h), they are kept as long as the leaf.
  mutable std::map<std::string, pybind11::array> layouts;
  /// The graph of this value alone, once somebody wanted it computed.
  mutable std::shared_ptr<const Graph> graph;

  ~Node();
};
// [/node]

/// The largest number of elements of one tensor: 8 GiB of f32.
inline constexpr int64_t kMaxElements = int64_t(1) << 31;

/// An array (float32 or int32, checked by the caller) as a value. A constant is
/// copied, so that it stays what it is.
Tensor leaf(const pybind11::array &array, LeafKind kind = LeafKind::Array);
/// The same for a constant of float32, rounded to bfloat16 (to the nearest, to
/// the even one of two).
Tensor bf16Constant(const pybind11::array &array);

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

  /// Ops, operands (so: what is shared), attributes, shapes (where the number
  /// of rows is free, without it) and element types; no data. Two graphs with
  /// one key are served by one compiled function.
  std::string key;
};
// [/graph]

/// The graph of these values. That of a single one is kept with it, for the
/// next time that it is computed.
std::shared_ptr<const Graph> graphOf(llvm::ArrayRef<Tensor> outputs);

/// Marks an argument of @forward whose numbers never change: "float32", or
/// "bfloat16" where they are rounded to that.
inline constexpr const char *kConstantAttr = "nn.constant";

/// @forward: one argument for each leaf (tensors, read only), then one buffer
/// for each output. Throws ch1::CompileError where an op's verifier objects.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext *context,
                                              const Graph &graph);

} // namespace ch9
