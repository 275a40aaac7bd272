"""One product of this chapter beside NumPy's."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch1_fixed_size as ch1

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    A = rng.standard_normal((8, 32), dtype=np.float32)
    B = rng.standard_normal((32, 16), dtype=np.float32)
    C = ch1.gemm(A, B)  # compiled now, at the first call
    print(C.shape, C.dtype, "equal up to rounding:", np.allclose(C, A @ B, atol=1e-5))
    # [/example]
