"""In which order the step adds, written down in NumPy: equal to the compiled ops to the last bit (test_orders.py).

Everything here is a function of one row and of what that row reads. Nothing takes the number of rows, a block, a
chunk, a page's number or a thread: that is the whole argument for why those change no bit. Only `lanes` (the norm)
and the size of a page (attention) enter, which are the same for all rows that a compiled step ever sees.
"""

from collections.abc import Callable, Sequence

import numpy as np

BLOCK = 64  # kBlock of kernel_attention.cpp


# [fma]
def fma(a, b, c) -> np.ndarray:
    """a * b + c with one rounding, of float32. The product of two float32 is exact in float64."""
    a, b, c = (np.asarray(value, np.float64) for value in (a, b, c))
    return (a * b + c).astype(np.float32)


# [/fma]


# [linear]
def linear(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x [K] times w [K, N]: one accumulator for each column, k from first to last."""
    acc = np.zeros(w.shape[1], np.float32)
    for k in range(len(x)):
        acc = fma(x[k], w[k], acc)
    return acc


# [/linear]


# [tree]
def tree(v: np.ndarray) -> np.float32:
    """The sum of a vector: the upper half is added to the lower until one number is left."""
    if len(v) == 1:
        return v[0]
    half = 1 << ((len(v) - 1).bit_length() - 1)  # the greatest power of two below the length
    if 2 * half == len(v):
        return tree(v[:half] + v[half:])
    return tree(v[:half]) + tree(v[half:])


# [/tree]


# [norm]
def sum_of(row: np.ndarray, lanes: int) -> np.float32:
    """A sum over a row: as many partial sums as a vector has lanes, then their tree, then what is left over."""
    whole = len(row) // lanes * lanes
    parts = np.zeros(lanes, np.float32)
    for column in range(0, whole, lanes):
        parts = parts + row[column : column + lanes]
    if whole == len(row):
        return tree(parts)
    return tree(parts) + tree(row[whole:]) if whole else tree(row)


def norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float, lanes: int) -> np.ndarray:
    """Layer norm of a row [D]."""
    width = np.float32(len(x))
    centred = x - sum_of(x, lanes) / width
    variance = sum_of(centred * centred, lanes) / width
    inverse = np.float32(1) / np.sqrt(variance + np.float32(epsilon))
    return fma(centred * inverse, gamma, beta)


# [/norm]


# [attention]
def attention(
    q: np.ndarray, pages: Sequence[tuple[np.ndarray, np.ndarray]], length: int, exp: Callable
) -> np.ndarray:
    """One head of one row: q [D] over the first `length` places of `pages`, each (keys [P, D], values [P, D])."""
    scale, size = np.float32(1 / np.sqrt(len(q))), len(pages[0][0])
    together = max(BLOCK // size, 1)  # pages of a block
    m, total, o = np.float32(-np.inf), np.float32(0), np.zeros(len(q), np.float32)
    for first in range(0, -(-length // size), together):
        past = length - first * size  # what there is of this block, or more; beyond it nothing is looked at
        block = pages[first : first + together][: -(-past // size)]
        keys = np.concatenate([keys for keys, _ in block])
        values = np.concatenate([values for _, values in block])
        scores = np.zeros(len(keys), np.float32)
        for d in range(len(q)):
            scores = fma(q[d], keys[:, d], scores)
        scores = np.where(np.arange(len(keys)) < past, scores * scale, np.float32(-np.inf))
        new_m = max(m, scores.max())
        correction = exp(np.array([m - new_m], np.float32))[0]
        p, lanes = exp(scores - new_m), np.zeros(size, np.float32)
        for page in p.reshape(-1, size):
            lanes = lanes + page
        total, o, m = total * correction + tree(lanes), o * correction, new_m
        for j in range(min(past, len(keys))):
            o = fma(p[j], values[j], o)
    return o / total


# [/attention]
