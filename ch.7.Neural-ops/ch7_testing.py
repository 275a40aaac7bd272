"""What the chapter's tests share: a call in one line, and the oracle, which knows how far from it float32 may be."""

import pathlib

import numpy as np

import chapters  # finds the build tree
from course_testing import EPSILON

import ch7

HERE = pathlib.Path(__file__).resolve().parent
show = chapters.run_script(HERE / "show.py")
FUSION = ["ch7-generalize-elementwise", "linalg-fuse-elementwise-ops"]


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def run(graph, value, *arrays, **options):
    return ch7.execute_generic(graph.compile(value, "f", **options), arrays, value.shape)


class Exact:
    """A value in float64, and a bound of the absolute error of the same value in float32.

    Each rounding adds a relative error of at most EPSILON; what the operands were off by is carried along. TINY
    covers results so small that they round in absolute steps.
    """

    TINY = 1e-36

    def __init__(self, value, error=0.0):
        self.value = np.asarray(value, np.float64)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    def rounded(self, times=1):
        scale = np.abs(self.value) + self.error
        return Exact(self.value, self.error + 1.01 * times * EPSILON * scale + self.TINY)

    def add(self, b):
        return Exact(self.value + b.value, self.error + b.error).rounded()

    def mul(self, b):
        error = np.abs(self.value) * b.error + self.error * np.abs(b.value) + self.error * b.error
        return Exact(self.value * b.value, error).rounded()

    def matmul(self, b):
        """K products and K additions: each product is rounded at most K + 1 times, whatever the order."""
        size = (np.abs(self.value) + self.error) @ (np.abs(b.value) + b.error)
        carried = size - np.abs(self.value) @ np.abs(b.value)
        times = self.value.shape[-1] + 1
        return Exact(self.value @ b.value, carried + 1.01 * times * EPSILON * size + self.TINY)

    def relu(self):
        return Exact(np.maximum(self.value, 0), self.error)

    def softmax(self):
        """e^(x - max) is off by the factor e^d where its argument is off by d; 4 roundings for exp itself, which is no
        exact operation, one for each addition of the sum, one for the quotient, and the same for the sum below it."""
        if self.value.size == 0:
            return Exact(self.value)
        below = self.value - self.value.max(axis=-1, keepdims=True)
        d = 2 * self.error.max(axis=-1, keepdims=True) + EPSILON * (np.abs(below) + self.error)
        p = np.exp(below)
        p /= p.sum(axis=-1, keepdims=True)
        factor = np.expm1(d + d.max(axis=-1, keepdims=True))
        return Exact(p, p * factor).rounded(2 * (4 + self.value.shape[-1]) + 1)

    def is_close(self, result):
        assert result.dtype == np.float32 and result.shape == self.value.shape
        return (np.abs(result - self.value) <= self.error).all()


X, B = draw(4, 3), draw(3)
