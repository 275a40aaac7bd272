"""What allocating and copying cost: chapter 4's product in its three variants, beside NumPy.

    python3 bench/ch4.py

C is 1000 x 1000 and K grows: the result's memory is the same for each K, the arithmetic is not. Here candidates do
not take turns call by call: what one frees, malloc would hand to the next, already mapped. Each runs in processes of
its own, which take turns; figures are medians over all calls of all processes, one thread each. Page faults are those
of one call: pages that the kernel had to clear and map because the process had none left. The second table is with a
malloc that is told to keep what is freed (glibc's MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_).
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from timing import copy_of, processor, seconds_a_call

import chapters  # finds the build tree

VARIANTS = ("naive", "out_parameter", "destination")
CANDIDATES = (*VARIANTS, "NumPy", "copy of C")
SIZE = 1000  # rows and columns of C
DEPTHS = {1: 15, 16: 5, 64: 3}  # K: calls a process
PROCESSES = 3
MALLOCS = {
    "malloc as it is": {},
    "malloc keeps what is freed": {
        "MALLOC_TRIM_THRESHOLD_": "1000000000",
        "MALLOC_MMAP_THRESHOLD_": "1000000000",
    },
}


def candidate(name: str, depth: int):
    """A call that makes C [SIZE, SIZE] = A [SIZE, depth] x B [depth, SIZE]."""
    rng = np.random.default_rng(depth)
    A = rng.standard_normal((SIZE, depth), dtype=np.float32)
    B = rng.standard_normal((depth, SIZE), dtype=np.float32)
    if name == "NumPy":
        return lambda: A @ B
    if name == "copy of C":
        return copy_of(4 * SIZE * SIZE)
    import ch4_tensor_bufferization as ch4

    return lambda: ch4.gemm(A, B, name)


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def samples(name: str) -> list[tuple[int, float, float]]:
    """[(K, seconds, page faults)] of single calls in this process."""
    found = []
    for depth, num_calls in DEPTHS.items():
        call = candidate(name, depth)
        for _ in range(3):
            call()
        for _ in range(num_calls):
            before = faults()
            seconds = seconds_a_call(call)
            found.append((depth, seconds, faults() - before))
    return found


def measure(malloc: dict[str, str]) -> dict[str, dict[int, tuple[float, float]]]:
    """{candidate: {K: (seconds, page faults)}}, medians. malloc: environment variables."""
    found = {name: [] for name in CANDIDATES}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment = chapters.environment() | threads | malloc
    for _ in range(PROCESSES):
        for name in CANDIDATES:
            command = [sys.executable, os.path.abspath(__file__), name]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            found[name] += json.loads(done.stdout)
    return {
        name: {
            depth: tuple(statistics.median(row[i] for row in rows if row[0] == depth) for i in (1, 2))
            for depth in DEPTHS
        }
        for name, rows in found.items()
    }


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}")
    print("ms a call for C [1000, 1000] (page faults a call)")
    for title, variables in MALLOCS.items():
        medians = measure(variables)
        print(f"\n{title}\n\n| K |", " | ".join(CANDIDATES), "|")
        print("|---" * (len(CANDIDATES) + 1) + "|")
        for depth in DEPTHS:
            cells = [f"{1e3 * medians[n][depth][0]:.2f} ({medians[n][depth][1]:.0f})" for n in CANDIDATES]
            print(f"| {depth} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in CANDIDATES:
        print(json.dumps(samples(sys.argv[1])))
    else:
        main()
