"""A small network, described once and called on arrays, beside NumPy."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch7_neural_ops as ch7


def numpy_mlp(x, w1, b1, w2, b2):
    z = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


if __name__ == "__main__":
    # [example]
    g = ch7.Graph()
    x = g.variable((16, 784))
    w1, b1 = g.variable((784, 64)), g.variable((64,))
    w2, b2 = g.variable((64, 10)), g.variable((10,))
    hidden = g.relu(g.add(g.matmul(x, w1), b1))
    y = g.softmax(g.add(g.matmul(hidden, w2), b2))
    print(hidden, y)  # nothing is computed yet

    mlp = g.compile(y, "mlp")  # all of it, as one function
    print(mlp)

    rng = np.random.default_rng(0)
    arrays = [0.1 * rng.standard_normal(v.shape, dtype=np.float32) for v in (x, w1, b1, w2, b2)]
    result = ch7.execute_generic(mlp, arrays, (16, 10))
    print(result.shape, "equal up to rounding:", np.allclose(result, numpy_mlp(*arrays), atol=1e-6))
    # [/example]
