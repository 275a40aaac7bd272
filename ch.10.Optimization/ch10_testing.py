"""What the tests of this chapter have in common."""

import pathlib
import subprocess

import numpy as np
import pytest

import chapters

import ch10

HERE = pathlib.Path(__file__).resolve().parent
EVERY_RUNG = pytest.mark.parametrize("pipeline", ch10.PIPELINES)
EVERY_TILE = pytest.mark.parametrize("lanes", [16, 8, 4])
SCALAR = ("baseline", "loop-order", "fused", "tiled")  # two roundings a step: multiply, add
VECTOR = ("vectorized", "registers", "blocked", "packed-a", "packed", "optimized")  # one: multiply-add


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def product(a, b, pipeline="optimized", **options):
    return ch10.forward(ch10.matmul(a, b), pipeline, **options)


def same_bits(x, y):
    return np.array_equal(x.view(np.uint32), y.view(np.uint32))


def numpy_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def stage(tensor, pipeline, name, lanes=16):
    """The IR after the last pass of that name, for AVX-512's tile: the same text on every machine."""
    return dict(ch10.stages(tensor, pipeline, lanes=lanes))[name]


def opt(*arguments, text):
    return subprocess.run(
        [*arguments, "-"], input=text, env=chapters.environment(), capture_output=True, text=True
    )
