"""What chapter 15 does: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
# [example]
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch15

rng = np.random.default_rng(0)
a, b = (rng.standard_normal(1000, dtype=np.float32) for _ in range(2))
A, B = (rng.standard_normal(s, dtype=np.float32) for s in [(50, 70), (70, 30)])

print("vector_add", np.array_equal(ch15.vector_add(a, b), a + b))
print("matmul    ", np.allclose(ch15.matmul(A, B), A @ B, atol=1e-4))
print("softmax   ", ch15.softmax(np.array([1, 2, 3, 4], np.float32)).round(4))

grid, block, shared = ch15.launch("matmul", (50, 30))
print("matmul's launch: blocks", grid, "threads", block)

without = ch15.matmul_ir().replace("gpu.barrier", "", 1)  # the first of two
print("without a barrier:", np.allclose(ch15.run(without, "matmul", A, B), A @ B, atol=1e-4))

ptx = ch15.ptx("vector_add", chip="sm_90")
print(
    "PTX:",
    *[line.strip() for line in ptx.splitlines() if "global" in line and "cvta" not in line],
    sep="\n  ",
)
# [/example]
