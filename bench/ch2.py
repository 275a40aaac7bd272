"""What one function for all shapes costs: chapter 2 beside chapter 1 and NumPy, and with more said in its types.

    python3 bench/ch2.py

The candidates take turns in one run; figures are medians of the turns, in microseconds a call. Everything runs on
one thread.
"""

import os
import pathlib
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from timing import medians, processor

import chapters

import ch1_fixed_size as ch1
import ch2_dynamic_size as ch2

SHAPES = {(8, 32, 16): (401, 100), (64, 64, 64): (101, 5), (128, 128, 128): (101, 1)}  # turns, calls a turn
FIXED = (8, 32, 16)  # ch.1's

knowledge = chapters.run_script(chapters.ROOT / "ch.2.Dynamic-size" / "knowledge.py")


def candidates(shape: tuple[int, int, int]) -> dict:
    M, K, N = shape
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((M, K), dtype=np.float32), rng.standard_normal((K, N), dtype=np.float32)
    fortran = np.asfortranarray(A), np.asfortranarray(B)
    cases = {
        "`ch2.gemm(A, B)`": lambda: ch2.gemm(A, B),
        "`ch2.gemm_ciface(A, B)`": lambda: ch2.gemm_ciface(A, B),
        "`ch2.gemm`, both in Fortran order": lambda: ch2.gemm(*fortran),
    }
    if shape == FIXED:
        cases["`ch1.gemm(A, B)`"] = lambda: ch1.gemm(A, B)
        cases["`ch1.gemm`, both in Fortran order (copied first)"] = lambda: ch1.gemm(*fortran)
    for order in ("ijk", "ikj"):
        for known in ("nothing", "the step along a row", "all sizes"):
            function = ch2.compiled(knowledge.ir(known, order, *shape))
            cases[f"loops {', '.join(order)}; known: {known}"] = lambda f=function: f(A, B)
    last = "loops i, k, j; known: nothing; both in Fortran order"
    ikj = ch2.compiled(knowledge.ir("nothing", "ikj"))
    cases[last] = lambda: ikj(*fortran)
    cases["NumPy, `A @ B`"] = lambda: A @ B
    return cases


def measure(shape: tuple[int, int, int]) -> dict[str, float]:
    """{case: seconds a call}"""
    turns, calls = SHAPES[shape]
    return medians({name: (case, calls) for name, case in candidates(shape).items()}, turns)


def text(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def main() -> None:
    seconds = {shape: measure(shape) for shape in SHAPES}
    compile_seconds = medians({"compile": lambda: ch2.compiled(ch2.ir())}, 7)["compile"]
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}\n")
    print("| µs a call | " + " | ".join("x".join(map(str, shape)) for shape in SHAPES) + " |")
    print("|---|" + "---|" * len(SHAPES))
    for case in seconds[FIXED]:
        values = [seconds[shape].get(case) for shape in SHAPES]
        print(f"| {case} | " + " | ".join(text(1e6 * v) if v else "" for v in values) + " |")
    print(f"\nBuild, lower, compile, once for all shapes: {1e3 * compile_seconds:.0f} ms")


if __name__ == "__main__":
    main()
