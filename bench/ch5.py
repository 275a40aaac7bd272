"""Bytes a second of chapter 5's three kernels, from the first-level cache to memory, beside NumPy and a plain copy.

    python3 bench/ch5.py

Counted are the bytes that must move: 12 an element (A and B read, the result written), 8 for a copy. The kernels and
the copy run many times in a row in C++ (`ch5.measure`), so that a call from Python does not hide them; NumPy and
`ch5.saxpy_vector` are called from Python. Kernels and copy take turns, then what is called from Python; figures are
medians of the turns. One thread. What limits the last column is taken apart by ch5_memory.py.
"""

import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))  # plot.py of the chapter imports this file
import numpy as np
from timing import copy_of, medians, processor

import chapters

import ch5_vector_ops as ch5

KERNELS = ("scf", "linalg", "vector")
SIZES = {"L1": 2**10, "L2": 2**15, "L3": 2**20, "memory": 2**24}  # elements; times 12: 12 KiB, …, 192 MiB
ALPHA = 0.3
TURNS = 21
COPY = """
func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
  memref.copy %A, %C : memref<?xf32> to memref<?xf32>
  return
}"""  # becomes a call of memcpy


def arrays(n: int, behind: int = 0) -> list[np.ndarray]:
    """Three arrays of n floats. Each begins so many floats behind the begin of a cache line (64 bytes), and far from
    where the others begin in their pages: near each other there, short arrays are sometimes up to five times slower on
    the processor that we measure on, and sometimes, at other addresses, not at all."""
    found = []
    for i in range(3):
        memory = np.random.default_rng(i).standard_normal(n + 2048, dtype=np.float32)
        first = -memory.ctypes.data % 4096 // 4 + 21 * 16 * i + behind
        found.append(memory[first : first + n])
    return found


def kernel_medians(n: int, cases: dict[str, tuple], turns: int) -> dict[str, float]:
    """{case: seconds a call} of (kernel or IR, A, B, C), timed in C++. They take turns, and each turn begins with a
    call that does not count: what the case before has thrown out of the caches comes back."""
    times = max(1, 2**21 // n)  # so a turn is some tenths of a millisecond, or one call
    samples = {name: [] for name in cases}
    for _ in range(turns):
        for name, (code, *arrays) in cases.items():
            chosen = {"kernel": code} if code in KERNELS else {"ir": code}
            ch5.measure(1, ALPHA, *arrays, **chosen)
            samples[name].append(ch5.measure(times, ALPHA, *arrays, **chosen) / times)
    return {name: statistics.median(values) for name, values in samples.items()}


def gigabytes_a_second(n: int, turns: int = TURNS) -> dict[str, float]:
    """{case: GB/s} for arrays of n floats."""
    A, B, C = arrays(n)
    elsewhere = arrays(n, behind=4)  # where NumPy's own arrays begin
    apart = {kernel: (kernel, A, B, C) for kernel in KERNELS} | {"copy": (COPY, A, B, C)}
    together = {f"{kernel}, in place": (kernel, A, B, B) for kernel in ("scf", "vector")}
    split = {"vector, arrays 16 bytes behind a line": ("vector", *elsewhere)}
    few = max(1, 2**14 // n)
    from_python = {
        "vector, from Python": lambda: ch5.saxpy_vector(ALPHA, A, B, C),
        "vector, from Python, a new result": lambda: ch5.saxpy_vector(ALPHA, A, B),
        "NumPy": lambda: ALPHA * A + B,
        "NumPy, two calls with out=": lambda: np.add(np.multiply(A, ALPHA, out=C), B, out=C),
        "NumPy's copy": copy_of(4 * n),
    }
    seconds = {}
    for cases in (apart | together, split):
        seconds |= kernel_medians(n, cases, turns)
    seconds |= medians({name: (call, few) for name, call in from_python.items()}, turns)
    num_bytes = {"copy": 8 * n, "NumPy's copy": 8 * n}
    return {name: 1e-9 * num_bytes.get(name, 12 * n) / value for name, value in seconds.items()}


def nanoseconds(n: int) -> dict[str, float]:
    """{kernel: ns a call} for arrays of n floats."""
    A, B, C = arrays(n)
    seconds = kernel_medians(n, {kernel: (kernel, A, B, C) for kernel in ("scf", "vector")}, TURNS)
    return {name: 1e9 * value for name, value in seconds.items()}


def compile_milliseconds(kernel: str) -> float:
    A = np.ones(1, np.float32)
    times = []
    for _ in range(5):
        ch5.clear_cache()
        ch5.measure(1, ALPHA, A, A, None, kernel=kernel)
        times.append(1e3 * ch5.cache_info().compile_seconds)
    return float(np.median(times))


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}\n")
    results = {where: gigabytes_a_second(n) for where, n in SIZES.items()}
    print("| GB/s | " + " | ".join(f"{where}, n = {n:,}" for where, n in SIZES.items()) + " |")
    print("|---|" + "---|" * len(SIZES))
    for case in results["L1"]:
        print(f"| {case} | " + " | ".join(f"{results[where][case]:.3g}" for where in SIZES) + " |")
    lengths = (16, 31, 32, 47, 1023)
    tails = {n: nanoseconds(n) for n in lengths}
    print("\n| ns a call | " + " | ".join(f"n = {n}" for n in lengths) + " |\n|---|" + "---|" * len(lengths))
    for kernel in ("scf", "vector"):
        print(f"| {kernel} | " + " | ".join(f"{tails[n][kernel]:.1f}" for n in lengths) + " |")
    print("\n| compile | ms |\n|---|---|")
    for kernel in KERNELS:
        print(f"| {kernel} | {compile_milliseconds(kernel):.0f} |")


if __name__ == "__main__":
    main()
