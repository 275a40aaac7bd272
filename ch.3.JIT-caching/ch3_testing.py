"""What the chapter's tests share: two matrices, IR that does not compile, and how large and how patient things are."""

import numpy as np

import ch3

PATIENCE_S = 60  # a thread that has not come so far never will
CAPACITY = 64


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


A, B = draw(5, 7), draw(7, 3, seed=1)


def bad_ir():
    return ch3.ir().replace("linalg.fill", "linalg.fil")
