"""What a call costs that fits any signature: chapter 8 beside the calls of chapters 1, 2 and 7.

    python3 bench/ch8.py

The candidates take turns in one run; figures are medians of the turns, in nanoseconds a call, all by ways of Python.
Everything runs on one thread.
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
import ch7_neural_ops as ch7
import ch8_custom_dialect as ch8

TURNS, CALLS = 301, 100
EMPTY = "func.func @f({}%out: memref<1xf32>) {{ return }}"


def empty(num_arrays: int, kind: str = "memref<?x?xf32, strided<[?, ?], offset: ?>>") -> str:
    """A function of so many arguments that does nothing."""
    return EMPTY.format("".join(f"%a{i}: {kind}, " for i in range(num_arrays)))


def calls() -> dict[str, float]:
    """{case: seconds a call}"""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((8, 32), dtype=np.float32), rng.standard_normal((32, 16), dtype=np.float32)
    product = ch2.ir()
    by_libffi = ch8.compiled(product, "gemm")
    g = ch7.Graph()
    by_table = g.compile(g.matmul(g.variable((8, 32)), g.variable((32, 16))), "gemm")
    cases = {
        "ch.1, 3 pointers to descriptors: `ch1.gemm(A, B)`": lambda: ch1.gemm(A, B),
        "ch.2, 21 arguments by hand: `ch2.gemm(A, B)`": lambda: ch2.gemm(A, B),
        "ch.2, 3 pointers to descriptors: `ch2.gemm_ciface(A, B)`": lambda: ch2.gemm_ciface(A, B),
        "ch.7, a table of wrappers: `execute_generic(fn, [A, B], (8, 16))`": lambda: ch7.execute_generic(
            by_table, [A, B], (8, 16)
        ),
        "ch.8, libffi: `ch8.compiled(text, 'gemm')([A, B], (8, 16))`": lambda: by_libffi([A, B], (8, 16)),
        "ch.8, and the text looked up: `ch8.execute(text, 'gemm', [A, B], (8, 16))`": lambda: ch8.execute(
            product, "gemm", [A, B], (8, 16)
        ),
    }
    return medians({name: (case, CALLS) for name, case in cases.items()}, TURNS)


def by_count() -> dict[int, tuple[float, float]]:
    """{number of arguments: seconds a call with arrays of rank 2, with numbers}, for functions that do nothing."""
    one = np.ones((1, 1), np.float32)
    cases = {}
    for count in (0, 1, 4, 16, 64):
        arrays, numbers = ch8.compiled(empty(count), "f"), ch8.compiled(empty(count, "f32"), "f")
        cases[f"{count} arrays"] = (lambda f=arrays, a=[one] * count: f(a, (1,)), CALLS)
        cases[f"{count} numbers"] = (lambda f=numbers, a=[1.0] * count: f(a, (1,)), CALLS)
    seconds = medians(cases, TURNS // 3)
    return {n: (seconds[f"{n} arrays"], seconds[f"{n} numbers"]) for n in (0, 1, 4, 16, 64)}


def compiles() -> dict[str, float]:
    """Seconds for a text that was not seen before."""
    number = iter(range(10**6))
    new = lambda: f"{ch2.ir()} // {next(number)}"  # noqa: E731
    return medians(
        {
            "`ch8.compiled(text, 'gemm')`, a new text": lambda: ch8.compiled(new(), "gemm"),
            "the same with `trusted=True`": lambda: ch8.compiled(new(), "gemm", trusted=True),
        },
        15,
    )


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}\n")
    print("| the same product, 8x32 by 32x16 | ns a call |\n|---|---|")
    for name, value in calls().items():
        print(f"| {name} | {1e9 * value:,.0f} |")
    print(
        "\n| arguments of a function that does nothing | ns a call, matrices | ns a call, numbers |\n|---|---|---|"
    )
    for count, (arrays, numbers) in by_count().items():
        print(f"| {count} | {1e9 * arrays:,.0f} | {1e9 * numbers:,.0f} |")
    print("\n| once | ms |\n|---|---|")
    for name, value in compiles().items():
        print(f"| {name} | {1e3 * value:.0f} |")


if __name__ == "__main__":
    main()
