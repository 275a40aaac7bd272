// Graph.h - a computation that is written down before it is compiled.
//
//   x = variable([4, 3])    w = variable([3, 5])       nodes without operands
//            \                /
//             matmul(x, w)  of shape (4, 5)            nothing is computed
//
// A node is made once, its operands exist before it does, and it never changes.
// So a graph has no cycles, and other threads may read it while it grows.
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ch7 {

enum class Op { Variable, Add, Mul, Matmul, Relu, Softmax };

/// "matmul".
std::string opName(Op op);

using Shape = llvm::SmallVector<int64_t, 3>;

/// Shapes have 1 to kMaxRank sizes and at most kMaxElements elements (8 GiB).
inline constexpr size_t kMaxRank = 3;
inline constexpr int64_t kMaxElements = int64_t(1) << 31;

// [node]
struct Node {
  Op op;
  int64_t number; // in order of creation, from 0
  llvm::SmallVector<const Node *, 2> operands;
  Shape shape;
};
// [/node]

/// "matmul #2 of shape (4, 5)".
std::string nodeText(const Node &node);

class Graph;

/// A node as a user holds it. It keeps the graph, and so the node, alive.
struct GraphValue {
  std::shared_ptr<const Graph> graph;
  const Node *node;
};

/// Makes nodes and owns them. Each member checks shapes and throws
/// std::invalid_argument, a ValueError in Python, with both operands in it.
class Graph : public std::enable_shared_from_this<Graph> {
public:
  GraphValue variable(llvm::ArrayRef<int64_t> shape);
  GraphValue add(const GraphValue &a, const GraphValue &b);
  GraphValue mul(const GraphValue &a, const GraphValue &b);
  GraphValue matmul(const GraphValue &a, const GraphValue &b);
  GraphValue relu(const GraphValue &x);
  GraphValue softmax(const GraphValue &x);

  /// Throws unless `value` is one of this graph's. `what` is where it was
  /// given.
  void checkOwn(const GraphValue &value, const std::string &what) const;

  size_t size() const { return nodes.size(); }

private:
  GraphValue make(Op op, llvm::ArrayRef<const Node *> operands,
                  llvm::ArrayRef<int64_t> shape);
  GraphValue elementwise(Op op, const GraphValue &a, const GraphValue &b);
  GraphValue unary(Op op, const GraphValue &x);

  std::vector<std::unique_ptr<const Node>> nodes;
};

/// Everything that `value` needs and `value` itself, each node once, operands
/// first.
std::vector<const Node *> inOrder(const Node &value);

/// The variables among them, in order of creation: the function's arguments.
std::vector<const Node *> variablesOf(const Node &value);

} // namespace ch7
