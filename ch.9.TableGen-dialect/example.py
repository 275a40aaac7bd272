"""A small network as an expression: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch9_tablegen_dialect as ch9

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    x, w1, b1, w2 = (rng.standard_normal(s, dtype=np.float32) for s in [(5, 8), (16, 8), 16, (16, 3)])

    hidden = ch9.relu(ch9.linear(x, w1, b1))
    y = ch9.softmax(hidden @ w2)
    print(y)  # a plan: nothing is computed yet

    result = ch9.forward(y)  # builds IR of the dialect nn, compiles it, calls it
    print(result.shape, result.dtype, "rows sum to", result.sum(axis=1).round(3))

    ch9.forward(ch9.softmax(ch9.relu(ch9.linear(-x, w1, b1)) @ w2))  # other data, the same structure
    print("hits", ch9.cache_info().hits, "misses", ch9.cache_info().misses)
    # [/example]
