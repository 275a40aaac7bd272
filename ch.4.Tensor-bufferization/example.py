"""One product three ways, and what each asks memory for."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch4_tensor_bufferization as ch4

if __name__ == "__main__":
    # [example]
    rng = np.random.default_rng(0)
    A = rng.standard_normal((300, 200), dtype=np.float32)
    B = rng.standard_normal((200, 100), dtype=np.float32)
    for variant in ("naive", "out_parameter", "destination"):
        before = ch4.allocations()
        C = ch4.gemm(A, B, variant)
        made = ch4.allocations().made - before.made
        print(f"{variant:13} {C.shape}, right: {np.allclose(C, A @ B, atol=1e-4)}, buffers: {made}")
    # [/example]
