"""A layer whose weight never changes, for batches of any size."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
# [constants]
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch10

w = np.random.default_rng(0).standard_normal((500, 300), dtype=np.float32)
weight = ch10.constant(w)  # copied, so that it stays what it is
for rows in (1, 7, 100):
    x = np.ones((rows, 300), np.float32)
    y = ch10.forward(ch10.linear(ch10.rows(x), weight))
    print(rows, np.allclose(y, x @ w.T, atol=1e-4))
print("compiled:", ch10.cache_info().misses, "time; kept in other orders:", len(ch10.layouts(weight)))
# [/constants]
