"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch2_dynamic_size as ch2

rng = np.random.default_rng(1)
SHAPES = [(8, 32, 16), (5, 7, 3), (1, 9, 70), (4, 0, 2), (33, 65, 129)]


def matrices(m: int, k: int, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A and B, and the same numbers with other strides."""
    A = rng.standard_normal((m, k), dtype=np.float32)
    B = rng.standard_normal((k, n), dtype=np.float32)
    return [(A, B), (np.asfortranarray(A), np.asfortranarray(B))]


def first_and_rest(d: dict) -> tuple:
    """Where the first number is, and the steps from there. A view may say the former by `aligned` or `offset`."""
    return d["aligned"] + 4 * d["offset"], tuple(d["sizes"]), tuple(d["strides"])


def views(solution: types.ModuleType) -> None:
    """1: views as arithmetic on descriptors."""
    for A in (
        rng.standard_normal((9, 12), dtype=np.float32),
        rng.standard_normal((14, 10), dtype=np.float32).T,
    ):
        d = ch2.descriptor(A)
        cut = np.s_[1:9:3, 2:11:4]
        cases = {
            "transposed": ([solution.transposed(d)], [A.T]),
            "sliced": ([solution.sliced(d, *cut)], [A[cut]]),
            "sliced, then transposed": ([solution.transposed(solution.sliced(d, *cut))], [A[cut].T]),
            "sliced twice": (
                [solution.sliced(solution.sliced(d, *cut), *np.s_[1:3:1, 0:3:2])],
                [A[cut][1:3, 0:3:2]],
            ),
            "repeated": (
                [solution.repeated(solution.sliced(d, *np.s_[2:3:1, 0:12:5]), 6)],
                [np.broadcast_to(A[2, 0:12:5], (6, len(A[2, 0:12:5])))],
            ),
            "blocks_of_rows": (solution.blocks_of_rows(d, 4), [A[i : i + 4] for i in range(0, len(A), 4)]),
        }
        for name, (got, expected) in cases.items():
            assert list(map(first_and_rest, got)) == [first_and_rest(ch2.descriptor(v)) for v in expected], (
                f"{name}: of {d}, got {got}"
            )


def same_product(ir: str) -> None:
    function = ch2.compiled(ir)
    for shape in SHAPES:
        for A, B in matrices(*shape):
            assert np.array_equal(function(A, B), ch2.gemm(A, B)), (
                f"the result is not the product for {shape}"
            )


def transposed(ir: str) -> None:
    """2: the product of transposed views."""
    assert ir.count("memref.transpose") == 3, "expected three memref.transpose, one for each argument"
    assert len(re.findall(r"\blinalg\.matmul\b", ir)) == 1, "expected one linalg.matmul"
    same_product(ir)
    loops = dict(ch2.stages(ir))["convert-linalg-to-loops"]
    assert "memref.load %arg" not in loops, "the product does not read all of its operands through views"


def order(ir: str) -> None:
    """3: a product whose inner loop LLVM vectorizes."""
    assert "linalg.generic" in ir, "there is no linalg.generic"
    same_product(ir)
    assert re.search(r"fmul <\d+ x float>", ch2.llvm_ir(ir)), "the multiplications are still one by one"


def load(file: pathlib.Path):
    """A Python file as a module; IR without its comments."""
    return chapters.run_script(file) if file.suffix == ".py" else re.sub(r"//.*", "", file.read_text())


EXERCISES = {"1": (views, "1_views.py"), "2": (transposed, "2_transposed.mlir"), "3": (order, "3_order.mlir")}

if __name__ == "__main__":
    unsolved = (AssertionError, NotImplementedError, ch2.CompileError)
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, load, unsolved))
