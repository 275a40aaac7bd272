"""What the chapter's tests share: two matrices, the three variants, and what each of them allocates."""

import pathlib

import numpy as np
import pytest

import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent
VARIANTS = ("naive", "out_parameter", "destination")
count = chapters.run_script(HERE / "count.py")
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def random_arrays(M=9, K=5, N=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((M, K), dtype=np.float32), rng.standard_normal((K, N), dtype=np.float32)


GOOD_A, GOOD_B = random_arrays()
COUNTS = {  # variant: (alloc, copy, dealloc), with the deallocation pipeline
    "naive": (2, 1, 1),
    "out_parameter": (1, 1, 1),
    "destination": (0, 0, 0),
}
