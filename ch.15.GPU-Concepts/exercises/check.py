"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your IR (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch15_gpu_concepts as ch15


def code(file: pathlib.Path) -> str:
    """The IR without its comments."""
    return re.sub(r"//.*", "", file.read_text())


def random(*shape):
    return np.random.default_rng(list(shape)).standard_normal(shape, dtype=np.float32)


def exact(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def four(file: pathlib.Path) -> None:
    """1: four elements for each thread."""
    ir = code(file)
    for n in (0, 1, 255, 256, 257, 768, 1023, 1024, 1025, 5000):
        a, b = random(n), random(n)
        assert np.array_equal(ch15.run(ir, "vector_add", a, b), a + b), f"wrong for {n} elements"
    stage = dict(ch15.stages("vector_add", ir=ir))["canonicalize"]
    assert "1024" in stage.split("@vector_add_block")[0], "the host does not launch a block for 1024 elements"
    first_loop = ir.split("gpu.return")[0]
    loads = re.findall(r"memref\.load %(\w+)\[", first_loop)
    assert len(loads) >= 8, f"expected at least four loads of each array, found {len(loads)} of both"
    ch15.ptx("vector_add", ir=ir)


def divergent(file: pathlib.Path) -> None:
    """2: all threads reach the barriers."""
    ir = code(file)
    for M, K, N in [(1, 1, 1), (16, 16, 16), (17, 33, 5), (0, 3, 4), (3, 0, 4), (40, 50, 30)]:
        A, B = random(M, K), random(K, N)
        assert np.allclose(ch15.run(ir, "matmul", A, B), A @ B, atol=1e-4), f"wrong for {M} x {K} x {N}"
    assert ir.count("gpu.barrier") == 2, "both barriers are needed"


def online(file: pathlib.Path) -> None:
    """3: the maximum and the sum in one pass, and one reduction."""
    ir = code(file)
    loads = len(re.findall(r"memref\.load %X\[", ir))
    assert loads == 2, f"expected two places that read the row, found {loads}"
    for n in (0, 1, 5, 255, 256, 257, 5000):
        x = 4 * random(3, n)
        y = ch15.run(ir, "softmax", x)
        assert n == 0 or np.allclose(y, exact(x), rtol=1e-5, atol=1e-30), f"wrong for rows of {n}"
    rising = np.linspace(-300, 300, 700, dtype=np.float32)
    for row in (rising, rising[::-1]):
        assert np.allclose(ch15.run(ir, "softmax", row), exact(row), rtol=1e-4, atol=1e-30), (
            "wrong where the maximum grows"
        )
    begins = np.array([-np.inf, -np.inf, 1, 2], np.float32)
    assert np.allclose(ch15.run(ir, "softmax", begins), exact(begins), rtol=1e-5), (
        "-inf beside numbers is wrong"
    )
    for row in ([-np.inf, -np.inf], [1, np.nan, 2], [np.inf, 1]):
        assert np.isnan(ch15.run(ir, "softmax", np.array(row, np.float32))).all(), (
            f"the row {row} must be NaN"
        )


EXERCISES = {
    "1": (four, "1_four.mlir"),
    "2": (divergent, "2_divergent.mlir"),
    "3": (online, "3_online.mlir"),
}

if __name__ == "__main__":
    raise SystemExit(
        chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch15.CompileError))
    )
