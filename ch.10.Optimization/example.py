"""What chapter 10 does: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
# [example]
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch10

rng = np.random.default_rng(0)
x, w, b = (rng.standard_normal(s, dtype=np.float32) for s in [(100, 300), (500, 300), 500])
layer = ch10.relu(ch10.linear(x, w, b))

print(ch10.PIPELINES)
for pipeline in ("baseline", "optimized"):
    y = ch10.forward(layer, pipeline=pipeline)
    print(f"{pipeline:<10}", y.shape, np.allclose(y, np.maximum(x @ w.T + b, 0), atol=1e-4))

# A row is the same to the last bit, whoever else is in the matrix.
alone = ch10.forward(ch10.relu(ch10.linear(x[7:8], w, b)))
print("row 7 alone:", np.array_equal(alone[0], y[7]))
# [/example]
