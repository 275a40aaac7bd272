"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your IR (exercises 1 and 2; without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch1_fixed_size as ch1

rng = np.random.default_rng(1)
A = rng.standard_normal((8, 32), dtype=np.float32)
B = rng.standard_normal((32, 16), dtype=np.float32)


def code(file: pathlib.Path) -> str:
    """The IR without its comments."""
    return re.sub(r"//.*", "", file.read_text())


def generic(file: pathlib.Path) -> None:
    """1: the product as a linalg.generic."""
    ir = code(file)
    assert "linalg.matmul" not in ir, "linalg.matmul is not allowed here"
    assert "linalg.generic" in ir, "there is no linalg.generic"
    assert np.array_equal(ch1.run(ir, A, B), ch1.gemm(A, B)), "the result is not the product"


def fma(file: pathlib.Path) -> None:
    """2: multiplications and additions fused."""
    ir = code(file)
    fused = re.findall(r"\b(vfmadd\w*|fmadd|fmla)\b", ch1.assembly(ir))
    assert fused, "the assembly has no fused instruction"
    exact = A.astype(np.float64) @ B.astype(np.float64)
    error = lambda c: np.abs(c - exact).mean()  # noqa: E731
    assert error(ch1.run(ir, A, B)) < error(ch1.gemm(A, B)), (
        "rounding once a step must come closer, not farther"
    )


def gemm_bias(_file: pathlib.Path) -> None:
    """3: gemm_bias(A, B, bias) -> A @ B + bias, in C++."""
    assert hasattr(ch1, "gemm_bias"), "ch1 has no function gemm_bias yet"
    bias = rng.standard_normal(16, dtype=np.float32)
    for b in (bias, bias[::-1]):
        exact = A.astype(np.float64) @ B.astype(np.float64) + b
        assert np.allclose(ch1.gemm_bias(A, B, b), exact, atol=1e-5), "the result is not A @ B + bias"
    for wrong, error in ((bias[:3], ValueError), (bias.astype(np.float64), TypeError)):
        try:
            ch1.gemm_bias(A, B, wrong)
        except error as raised:
            assert "bias" in str(raised), "the error does not name the argument"
        else:
            raise AssertionError(f"a bias of {wrong.dtype} {wrong.shape} is accepted")


EXERCISES = {"1": (generic, "1_generic.mlir"), "2": (fma, "2_fma.mlir"), "3": (gemm_bias, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch1.CompileError)))
