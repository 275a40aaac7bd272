"""What the chapter's tests share: the three kernels, NumPy's result, and what it is to be equal to it."""

import pathlib

import numpy as np
import pytest

import ch5

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = {"scf": ch5.saxpy, "linalg": ch5.saxpy_linalg, "vector": ch5.saxpy_vector}
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_function = pytest.mark.parametrize("saxpy", KERNELS.values(), ids=KERNELS)


def random_arrays(n, seed=0):
    return np.random.default_rng(seed).standard_normal((2, n), dtype=np.float32)


def expected(alpha, A, B):
    """NumPy's alpha * A + B in float32: a rounded product, a rounded sum."""
    with np.errstate(all="ignore"):
        return np.float32(alpha) * A + B


def assert_same_bits(x, y):
    """Equal to the last bit, the sign of zeros included. A NaN is a NaN: which bits one has beside that, neither
    IEEE 754 nor LLVM says."""
    assert x.shape == y.shape and x.dtype == y.dtype == np.float32
    assert np.array_equal(np.isnan(x), np.isnan(y))
    numbers = ~np.isnan(x)
    assert np.array_equal(x[numbers].view(np.int32), y[numbers].view(np.int32))


A37, B37 = random_arrays(37)
