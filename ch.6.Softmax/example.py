"""Scores become probabilities: by three exponentials, and by the formula that overflows."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch6_softmax as ch6


def show(name, y):
    print(f"{name:14}", *(f"{p:.4f}" for p in y))


if __name__ == "__main__":
    # [example]
    scores = np.array([1, 2, 3, 4], np.float32)
    for lowering in ("polynomial", "llvm", "libm"):
        show(lowering, ch6.softmax(scores, lowering=lowering))
    show("naive", ch6.naive_softmax(scores))
    show("85 more", ch6.softmax(scores + 85))
    show("naive, 85 more", ch6.naive_softmax(scores + 85))
    # [/example]
