"""The first call, the calls after it, and what the cache has to say."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch3_jit_caching as ch3

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal((size, size + 1), dtype=np.float32) for size in range(1, 51)]
    own = ch3.ir()
    for name, gemm in [
        ("gemm", ch3.gemm),
        ("gemm_fixed", ch3.gemm_fixed),
        ("run", lambda A, B: ch3.run(own, A, B)),
    ]:
        ch3.clear_cache()
        for A in matrices:  # 50 shapes
            assert np.allclose(gemm(A, A.T), A @ A.T, atol=1e-4)
        info = ch3.cache_info()
        print(f"{name:10} compiled {info.misses}, found {info.hits}")
    # [/example]
