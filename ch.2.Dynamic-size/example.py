"""Products of many shapes, all by one compiled function: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch2_dynamic_size as ch2

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    for M, K, N in [(8, 32, 16), (3, 5, 7), (1, 100, 1), (2, 0, 3), (0, 4, 4)]:
        A = rng.standard_normal((M, K), dtype=np.float32)
        B = rng.standard_normal((K, N), dtype=np.float32)
        C = ch2.gemm(A, B)  # compiled at the first call, for all of them
        print(C.shape, "equal up to rounding:", np.allclose(C, A @ B, atol=1e-5))
    # [/example]
