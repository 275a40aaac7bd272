"""What goes wrong, and what is said: `python3 broken.py shapes | graphs | arrays | out_shape | words | verifier`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch7_neural_ops as ch7


def shapes():
    # [shapes]
    g = ch7.Graph()
    x, w, v = g.variable((3, 4)), g.variable((4, 5)), g.variable((5, 2))
    g.relu(g.matmul(x, w))
    g.matmul(x, g.relu(v))  # and not relu(x @ w) @ v
    # [/shapes]


def graphs():
    # [graphs]
    g, other = ch7.Graph(), ch7.Graph()
    g.add(g.variable((4,)), other.variable((4,)))
    # [/graphs]


def arrays():
    # [arrays]
    g = ch7.Graph()
    x, _, b = g.variable((4, 3)), g.variable((9, 9)), g.variable((3,))
    fn = g.compile(g.add(x, b), "biased")  # does not need the second variable
    x, unused, b = (np.ones(shape, np.float32) for shape in ((4, 3), (9, 9), (3,)))
    ch7.execute_generic(fn, [x, unused, b], (4, 3))
    # [/arrays]


def out_shape():
    # [out_shape]
    g = ch7.Graph()
    fn = g.compile(g.relu(g.variable((4, 3))), "positive")
    ch7.execute_generic(fn, [np.ones((4, 3), np.float32)], (3, 4))
    # [/out_shape]


def words():
    # [words]
    g = ch7.Graph()
    y = g.variable((8, 8))
    for _ in range(17):
        y = g.matmul(y, g.variable((8, 8)))
    g.compile(y, "long_product")
    # [/words]


def verifier():
    # [verifier]
    g = ch7.Graph()
    y = g.relu(g.variable((4, 3)))
    ir = g.get_mlir(y, "f").replace("tensor<4x3xf32>) outs", "tensor<4x2xf32>) outs")
    g.compile(y, "f", ir=ir)
    # [/verifier]


CASES = {case.__name__: case for case in (shapes, graphs, arrays, out_shape, words, verifier)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch7.CompileError,)))
