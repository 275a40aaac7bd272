"""Text that was written by hand, and text that was made of a graph, called on arrays beside NumPy."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch8_custom_dialect as ch8
from graph_builder import Graph
from lowering import MLIRLowering

# [text]
SCALE_ROWS = """
#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @scale_rows(%x: memref<?x4xf32, strided<[?, ?], offset: ?>>, %factors: memref<?xf64>, %shift: i32,
                      %out: memref<?x4xf32>) {
  %s = arith.sitofp %shift : i32 to f32
  linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %factors : memref<?x4xf32, strided<[?, ?], offset: ?>>, memref<?xf64>) outs(%out : memref<?x4xf32>) {
  ^bb0(%e: f32, %f: f64, %old: f32):
    %narrow = arith.truncf %f : f64 to f32
    %product = arith.mulf %e, %narrow : f32
    %sum = arith.addf %product, %s : f32
    linalg.yield %sum : f32
  }
  return
}
"""
# [/text]


# [network]
def network():
    g = Graph()
    x, w, b = g.variable((4, 3)), g.variable((3, 5)), g.variable((5,))
    return g, g.softmax(g.relu(g.add(g.matmul(x, w), b)))


# [/network]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    # [execute]
    x = rng.standard_normal((4, 6), dtype=np.float32).T  # [6, 4], and not in C order
    factors = np.arange(6.0)  # float64
    y = ch8.execute(SCALE_ROWS, "scale_rows", [x, factors, 10], (6, 4))
    expected = x * factors.astype(np.float32)[:, None] + np.float32(10)
    print(y.shape, y.dtype, "equal:", np.array_equal(y, expected))
    # [/execute]
    # [nn]
    graph, value = network()
    text = MLIRLowering().lower_graph(graph, value, "network")
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in ((4, 3), (3, 5), (5,))]
    probabilities = ch8.execute(text, "network", arrays, (4, 5))
    print("sums of rows:", probabilities.sum(axis=1).round(6))
    # [/nn]
    print("compiled:", ch8.cache_info().misses)
