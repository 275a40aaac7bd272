"""The first call, the calls after it, and what the cache has to say."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch3_jit_caching as ch3


def counted(what: str) -> None:
    info = ch3.cache_info()
    print(f"{what:34} {info.misses} compiled, {info.hits} found")


if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((size, size + 1), dtype=np.float32) for size in range(1, 51)]
    for A in matrices:
        assert np.allclose(ch3.gemm(A, A.T), A @ A.T, atol=1e-4)
    counted("50 shapes, any shape:")

    ch3.clear_cache()
    for A in matrices:
        ch3.gemm_fixed(A, A.T)
    counted("50 shapes, the shape in the types:")

    ch3.clear_cache()
    for _ in range(50):
        ch3.run(ch3.ir(), A, A.T)
    counted("50 times the same IR:")
    # [/example]
