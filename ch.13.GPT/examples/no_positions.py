"""Attention without positions, and without a mask: what goes wrong."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch13_gpt as gpt

rng = np.random.default_rng(0)
table = rng.standard_normal((4, 8)).astype(np.float32)  # four words
text = np.array([0, 1, 2, 3], np.int32)
shuffled = np.array([2, 1, 0, 3], np.int32)
changed = np.array([0, 1, 2, 0], np.int32)  # another last word


def difference(row, ids, attend):
    """How far row `row` of the attention moves when the text becomes `ids`."""
    a, b = (gpt.forward(attend(gpt.embedding(i, table))) for i in (text, ids))
    return np.abs(a - b)[row].max()


def plain(x):
    return gpt.scaled_dot_product_attention(x, x, x)


def causal(x):
    return gpt.causal_attention(x, x, x)


def causal_rope(x):
    return gpt.causal_attention(gpt.rope(x), gpt.rope(x), x)


print("                          last word, others shuffled   first word, last one changed")
for name, attend in (
    ("attention of ch.12", plain),
    ("with a mask", causal),
    ("with a mask and rope", causal_rope),
):
    print(f"{name:<26}{difference(3, shuffled, attend):<29.3f}{difference(0, changed, attend):.3f}")
