"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your IR (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch6_softmax as ch6

LOWERINGS = ("polynomial", "llvm", "libm")
rng = np.random.default_rng(1)
SCORES = (5 * rng.standard_normal((9, 33))).astype(np.float32)


def code(file: pathlib.Path) -> str:
    """The IR without its comments."""
    return re.sub(r"//.*", "", file.read_text())


def exact(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def online(file: pathlib.Path) -> None:
    """1: the maximum and the sum in one loop."""
    ir = code(file)
    loops = re.findall(r"scf\.for[^\n]*", ir)
    assert len(loops) == 3, f"expected three loops, over the rows and two inside, found {len(loops)}"
    assert len(re.findall("iter_args", ir)) == 1, "one loop must carry both values"
    assert ir.count("memref.store") == 1, "only the last loop may store"
    for lowering in LOWERINGS:
        y = ch6.run(ir, SCORES, lowering=lowering)
        assert np.allclose(y, exact(SCORES), rtol=1e-5, atol=0), "the result is not softmax"
    rising = np.linspace(-300, 300, 50).astype(np.float32)
    for row in (rising, rising[::-1]):
        y = ch6.run(ir, row)
        assert np.allclose(y, exact(row), rtol=1e-4, atol=1e-30), "wrong where the maximum grows"
    begins = np.array([-np.inf, -np.inf, 1, 2], np.float32)
    assert np.allclose(ch6.run(ir, begins), exact(begins), rtol=1e-5), "a row that begins with -inf is wrong"
    for row in ([-np.inf, -np.inf], [1, np.nan, 2], [np.inf, 1]):
        assert np.isnan(ch6.run(ir, np.array(row, np.float32))).all(), f"the row {row} must be NaN"


def log_softmax(file: pathlib.Path) -> None:
    """2: the logarithm of softmax."""
    ir = code(file)
    for lowering in LOWERINGS:
        y = ch6.run(ir, SCORES, lowering=lowering)
        assert np.allclose(y, np.log(exact(SCORES)), rtol=1e-5, atol=1e-6), (
            "the result is not log(softmax(x))"
        )
        y = ch6.run(ir, np.array([0, -200, -1e30], np.float32), lowering=lowering)
        assert np.array_equal(y, np.array([0, -200, -1e30], np.float32)), (
            f"far below the maximum: {y.tolist()}"
        )


def causal(file: pathlib.Path) -> None:
    """3: row i sees elements 0 to i."""
    ir = code(file)
    x = SCORES.copy()
    x[np.triu_indices(9, 1, 33)] = np.nan  # what no row may read
    tall = np.ascontiguousarray(SCORES[:, :4])
    tall[np.triu_indices(9, 1, 4)] = np.nan
    for scores in (x, tall):
        y = ch6.run(ir, scores)
        for i, row in enumerate(scores):
            seen = min(i + 1, len(row))
            alone = ch6.scalar_softmax(row[:seen])
            assert np.array_equal(y[i, :seen], alone), (
                f"row {i} is not the softmax of its first {seen} elements"
            )
            assert (y[i, seen:] == 0).all(), f"row {i} is not 0 behind element {seen - 1}"


EXERCISES = {
    "1": (online, "1_online.mlir"),
    "2": (log_softmax, "2_log_softmax.mlir"),
    "3": (causal, "3_causal.mlir"),
}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch6.CompileError)))
