"""Scores become probabilities, by three exponentials, and by the formula that overflows."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch6_softmax as ch6

if __name__ == "__main__":
    # [example]
    scores = np.array([[1, 2, 3, 4], [81, 82, 83, 104]], np.float32)
    for lowering in ("polynomial", "llvm", "libm"):
        print(f"{lowering:10}", ch6.softmax(scores, lowering=lowering).round(4).tolist())
    print(f"{'naive':10}", ch6.naive_softmax(scores).round(4).tolist())
    # [/example]
