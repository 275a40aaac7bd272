"""alpha * A + B by the three kernels, beside NumPy."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch5_vector_ops as ch5

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    A = rng.standard_normal(1003, dtype=np.float32)
    B = rng.standard_normal(1003, dtype=np.float32)
    for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
        C = saxpy(0.3, A, B)
        print(f"{saxpy.__name__:12} as NumPy, bit for bit:", np.array_equal(C, 0.3 * A + B))
    ch5.saxpy_vector(0.3, A, B, out=B)  # B += 0.3 * A: nothing is allocated
    print("in place, the same:", np.array_equal(B, C))
    # [/example]
