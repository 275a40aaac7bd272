"""What a product of 8x32 by 32x16 costs when it is called from Python: chapter 1 beside NumPy.

    python3 bench/ch1.py

The candidates take turns in one run, a hundred calls at a time; figures are medians of the turns. First calls
are timed in fresh processes. Everything runs on one thread.
"""

import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from timing import medians, processor

import chapters  # finds the build tree

import ch1_fixed_size as ch1

TURNS = 401  # short and many: a turn in which something else had the core does not move the median


def by_hand(A: list, B: list) -> list:
    """Three loops of Python over lists."""
    C = [[0.0] * 16 for _ in range(8)]
    for i in range(8):
        for j in range(16):
            for k in range(32):
                C[i][j] += A[i][k] * B[k][j]
    return C


def first_call_seconds(statement: str) -> float:
    code = (
        "import time, numpy as np, ch1; A = np.ones((8, 32), np.float32); B = np.ones((32, 16), np.float32); "
        f"start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env=chapters.environment(), capture_output=True, check=True
        )
        for _ in range(7)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((8, 32), dtype=np.float32)
    B = rng.standard_normal((32, 16), dtype=np.float32)
    C = np.empty((8, 16), np.float32)
    lists = A.tolist(), B.tolist()
    transposed = np.asfortranarray(A), np.asfortranarray(B)

    seconds = medians(
        {
            "`ch1.gemm(A, B)`": (lambda: ch1.gemm(A, B), 100),
            "`ch1.gemm(A, B)`, both in Fortran order": (lambda: ch1.gemm(*transposed), 50),
            "NumPy, `A @ B`": (lambda: A @ B, 100),
            "NumPy, `np.matmul(A, B, out=C)`": (lambda: np.matmul(A, B, out=C), 100),
            "three loops of Python": (lambda: by_hand(*lists), 1),
        },
        TURNS,
    )
    base = seconds["NumPy, `A @ B`"]
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}\n")
    print("| case | µs a call | NumPy's `A @ B` is 1 |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {1e6 * value:.2f} | {value / base:.2f} |")
    once = {
        "the first `ch1.gemm(A, B)`: build, lower, compile, call": first_call_seconds("ch1.gemm(A, B)"),
        "of which build and lower (`ch1.stages()`, which also prints)": first_call_seconds("ch1.stages()"),
    }
    print("\n| once | ms |\n|---|---|")
    for name, value in once.items():
        print(f"| {name} | {1e3 * value:.0f} |")


if __name__ == "__main__":
    main()
