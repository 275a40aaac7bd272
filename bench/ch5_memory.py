"""What limits chapter 5's kernels in memory: the bytes that move, or the lines that a store has to fetch?

    python3 bench/ch5_memory.py

Vector loops as in chapter 5, over arrays of 64 MiB each, that differ in one thing at a time. A store to a line that no
cache has reads the line first, so `saxpy` moves 16 bytes an element: A, B and C read, C written. `saxpy, C loaded too`
adds C to the sum: the same 16 bytes, and one load more, but the line of C comes for a load instead of a store. `saxpy,
nontemporal` writes past the caches and reads nothing first: 12 bytes, as `saxpy, in place` does. All take turns, each
turn begins with a call that does not count, and figures are medians. One thread.
"""

import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy as np
from timing import processor

import chapters

import ch5_vector_ops as ch5

bench = chapters.run_script(pathlib.Path(__file__).with_name("ch5.py"))
ALPHA, COPY, arrays = bench.ALPHA, bench.COPY, bench.arrays
SIZE = 2**24  # floats in an array
TURNS = 41
SUM = "%p = arith.mulf %a, %x : vector<16xf32>\n%s = arith.addf %p, %y : vector<16xf32>"


def load(name: str, array: str) -> str:
    return f"%{name} = vector.load %{array}[%i] : memref<?xf32>, vector<16xf32>"


def store(name: str, attributes: str = "") -> str:
    return f"vector.store %{name}, %C[%i] {attributes} : memref<?xf32>, vector<16xf32>"


def loop(*body: str) -> str:
    """IR of a function that does this for every 16 elements. The length is a multiple of 16."""
    return "\n".join(
        [
            "func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {",
            "%c0 = arith.constant 0 : index",
            "%c16 = arith.constant 16 : index",
            "%n = memref.dim %A, %c0 : memref<?xf32>",
            "%a = vector.broadcast %alpha : f32 to vector<16xf32>",
            "scf.for %i = %c0 to %n step %c16 {",
            *body,
            "}",
            "return",
            "}",
        ]
    )


SAXPY = loop(load("x", "A"), load("y", "B"), SUM, store("s"))
LOADED = loop(
    load("x", "A"), load("y", "B"), load("z", "C"), SUM, "%t = arith.addf %s, %z : vector<16xf32>", store("t")
)
PAST_THE_CACHES = "{nontemporal = true, alignment = 64}"
CASES = {  # name: (IR, whether C is B, bytes an element)
    "saxpy, in place": (SAXPY, True, 12),
    "saxpy": (SAXPY, False, 16),
    "saxpy, C loaded too": (LOADED, False, 16),
    "saxpy, nontemporal": (loop(load("x", "A"), load("y", "B"), SUM, store("s", PAST_THE_CACHES)), False, 12),
    "copy": (loop(load("x", "A"), store("x")), False, 12),
    "copy, memcpy": (COPY, False, 12),
    "copy, nontemporal": (loop(load("x", "A"), store("x", PAST_THE_CACHES)), False, 8),
}


def nanoseconds(n: int, turns: int) -> dict[str, float]:
    """{case: ns an element}"""
    A, B, C = arrays(n)
    samples = {name: [] for name in CASES}
    for _ in range(turns):
        for name, (ir, in_place, _) in CASES.items():
            out = B if in_place else C
            ch5.measure(1, ALPHA, A, B, out, ir=ir)
            samples[name].append(1e9 * ch5.measure(1, ALPHA, A, B, out, ir=ir) / n)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}, n = {SIZE:,}\n")
    found = nanoseconds(SIZE, TURNS)
    print("| | bytes an element | ns an element | GB/s moved | speed, in place = 1 |\n|---|---|---|---|---|")
    for name, (_, _, num_bytes) in CASES.items():
        ns = found[name]
        speed = found["saxpy, in place"] / ns
        print(f"| {name} | {num_bytes} | {ns:.3f} | {num_bytes / ns:.1f} | {speed:.2f} |")


if __name__ == "__main__":
    main()
