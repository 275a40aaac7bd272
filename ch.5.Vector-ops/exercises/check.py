"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your IR (exercises 1 and 2; without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch5_vector_ops as ch5

rng = np.random.default_rng(1)


def code(file: pathlib.Path) -> str:
    """The IR without its comments."""
    return re.sub(r"//.*", "", file.read_text())


def assert_is_saxpy(compute) -> None:
    """compute(alpha, A, B, out) writes alpha * A + B to `out`, for many lengths, and nothing beside it."""
    for n in [*range(70), 1000]:
        A, B = rng.standard_normal((2, n + 16), dtype=np.float32)
        memory = np.full(n + 16, 7, np.float32)
        compute(0.3, A[:n], B[:n], memory[:n])
        assert np.array_equal(memory[:n], 0.3 * A[:n] + B[:n]), f"for n = {n} the result is not alpha * A + B"
        assert (memory[n:] == 7).all(), f"for n = {n} something is written behind the end"


def one_loop(file: pathlib.Path) -> None:
    """1: one loop whose transfers find the end themselves."""
    ir = code(file)
    assert "mask" not in ir, "no mask is needed here"
    assert ir.count("scf.for") == 1 and "scf.if" not in ir, "there should be one loop and nothing else"
    assert ir.count("transfer_") == 3, "one step has two reads and one write"
    assert_is_saxpy(lambda *args: ch5.run(ir, *args))


def peeled(file: pathlib.Path) -> None:
    """2: whole vectors, then single elements."""
    ir = code(file)
    assert "mask" not in ir, "there is still a mask"
    assert "memref.load" in ir, "nothing loads single elements"
    assert ir.count("in_bounds = [true]") == 3, "the loop over whole vectors should stay as it is"
    assert_is_saxpy(lambda *args: ch5.run(ir, *args))


def axpby(_file: pathlib.Path) -> None:
    """3: axpby(alpha, A, beta, B) -> alpha * A + beta * B, in C++."""
    assert hasattr(ch5, "axpby"), "ch5 has no function axpby yet"
    alpha, beta = np.float32(0.3), np.float32(-1.7)
    for n in [*range(70), 1000]:
        A, B = rng.standard_normal((2, n), dtype=np.float32)
        C = ch5.axpby(alpha, A, beta, B)
        assert np.array_equal(C, alpha * A + beta * B), f"for n = {n} the result is not alpha * A + beta * B"
        assert np.array_equal(ch5.axpby(alpha, A[::-1], beta, B), alpha * A[::-1] + beta * B), (
            "strides matter"
        )
    for wrong, error in ((("two", A, beta, B), "alpha"), ((alpha, A, None, B), "beta")):
        try:
            ch5.axpby(*wrong)
        except TypeError as raised:
            assert str(raised).startswith(f"{error}: expected a number"), f"the error does not name {error}"
        else:
            raise AssertionError(f"a wrong {error} is accepted")


EXERCISES = {"1": (one_loop, "1_one_loop.mlir"), "2": (peeled, "2_peeled.mlir"), "3": (axpby, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch5.CompileError)))
