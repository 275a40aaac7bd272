"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your IR (exercises 1 and 2; without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch4_tensor_bufferization as ch4

count = chapters.run_script(pathlib.Path(__file__).resolve().parents[1] / "count.py")
rng = np.random.default_rng(4)
A = rng.standard_normal((7, 5), dtype=np.float32)
B = rng.standard_normal((5, 6), dtype=np.float32)


def conflict(file: pathlib.Path) -> None:
    """1: 2 P + max(P, 0) without a second buffer."""
    ir = file.read_text()
    assert ir.count("linalg.matmul") == 1, "the product is to be computed once"
    counts = count.in_ir("destination", ir=ir)
    assert counts["alloc"] == 0 and counts["copy"] == 0, (
        f"{counts['alloc']} allocations and {counts['copy']} copies are left"
    )
    P = A.astype(np.float64) @ B
    assert np.allclose(ch4.run(ir, A, B), 2 * P + np.maximum(P, 0), atol=1e-4), (
        "the result is not 2 P + max(P, 0)"
    )


def rows(file: pathlib.Path) -> None:
    """2: each row where it belongs."""
    ir = file.read_text()
    assert "scf.for" in ir and "tensor.insert_slice" in ir, "the rows are to be made in a loop, one by one"
    before = ch4.allocations()
    C = ch4.run(ir, A, B, "out_parameter")
    after = ch4.allocations()
    assert np.array_equal(C, ch4.gemm(A, B)), "the result is not the product"
    made = after.made - before.made
    assert made == 1, f"a call for {len(A)} rows allocated {made} buffers"
    assert after.freed - before.freed == made, "not all of them were freed"


def gemm_into(_file: None) -> None:
    """3: gemm_into(A, B, C) writes A @ B into an array of the caller's, in C++."""
    assert hasattr(ch4, "gemm_into"), "ch4 has no function gemm_into yet"
    big = np.full((14, 6), 9, np.float32)
    for C in (np.empty((7, 6), np.float32), big[3:10]):
        ch4.gemm_into(A, B, C)
        assert np.allclose(C, A @ B, atol=1e-4), "C does not hold the product"
    assert (big[:3] == 9).all() and (big[10:] == 9).all(), "something beside C was written"
    square = rng.standard_normal((5, 5), dtype=np.float32)
    readonly = np.empty((7, 6), np.float32)
    readonly.flags.writeable = False
    transposed = np.empty((6, 7), np.float32).T  # the type of C says C order; and a copy of C is not C
    for wrong in (
        (A, B, np.empty((6, 7), np.float32)),
        (A, B, readonly),
        (A, B, transposed),
        (A, B, big[::2]),
    ):
        expect_refusal(*wrong)
    # `restrict` promises that C is no other tensor's memory: somebody has to keep that promise.
    for overlapping in (square, square.T, square[:]):
        expect_refusal(square, square.copy(), overlapping)
        expect_refusal(square.copy(), square, overlapping)


def expect_refusal(a, b, c) -> None:
    try:
        ch4.gemm_into(a, b, c)
    except ValueError as raised:
        assert "C" in str(raised), "the error does not name the argument"
    else:
        raise AssertionError(f"a C of shape {c.shape}, strides {c.strides} is accepted and should not be")


EXERCISES = {"1": (conflict, "1_conflict.mlir"), "2": (rows, "2_rows.mlir"), "3": (gemm_into, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch4.CompileError)))
