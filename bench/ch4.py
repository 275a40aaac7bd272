"""What allocating and copying cost: chapter 4's product in its three variants, beside NumPy.

    python3 bench/ch4.py

C is 1000 x 1000 and K grows: the result's memory is the same for each K, the arithmetic is not. Here candidates do
not take turns call by call: what one frees, malloc would hand to the next, already mapped. Each runs in processes of
its own, which take turns; figures are medians over all calls of all processes, one thread each. Page faults are those
of one call: pages that the kernel had to clear and map because the process had none left. The second pair of tables is
with a malloc that is told to keep what is freed (glibc's MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_).

On a virtual machine the core may be shared with a stranger, for milliseconds or for seconds, and what such a time hits
looks slow. So there is a yardstick before and after each call: a small product that knows nothing of large buffers.
Calls between two quick ones make the first table of a pair, calls between two slow ones the second.
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
DEPTHS = {1: 60, 16: 12, 64: 4}  # K: calls a process
PROCESSES = 5
QUICK, SLOW = 1.12, 1.25  # times the best of the yardstick: at most, and at least
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


def yardstick():
    """A call without arguments: the seconds that a small product takes now, the better of two."""
    import ch2_dynamic_size as ch2

    a = np.ones((40, 40), np.float32)
    call = lambda: ch2.gemm(a, a)  # noqa: E731
    call()
    return lambda: min(seconds_a_call(call) for _ in range(2))


def samples(name: str) -> list[tuple[int, float, float, float, float]]:
    """[(K, seconds, page faults, yardstick before, yardstick after)] of single calls in this process."""
    found = []
    now = yardstick()
    for depth, num_calls in DEPTHS.items():
        call = candidate(name, depth)
        for _ in range(3):
            call()
        for _ in range(num_calls):
            earlier = now()
            before = faults()
            seconds = seconds_a_call(call)
            num_faults = faults() - before
            found.append((depth, seconds, num_faults, earlier, now()))
    return found


def measure(malloc: dict[str, str]) -> dict[str, list]:
    """{candidate: what samples() found in all its processes}. malloc: environment variables."""
    found = {name: [] for name in CANDIDATES}
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment = chapters.environment() | threads | malloc
    for _ in range(PROCESSES):
        for name in CANDIDATES:
            command = [sys.executable, os.path.abspath(__file__), name]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            found[name] += json.loads(done.stdout)
    return found


def cell(rows: list) -> str:
    """Median milliseconds and page faults of some calls, and of how many."""
    if not rows:
        return "none"
    seconds, num_faults = (statistics.median(row[i] for row in rows) for i in (1, 2))
    return f"{1e3 * seconds:.2f} ({num_faults:.0f}; {len(rows)})"


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}")
    print("ms a call for C [1000, 1000] (page faults a call; number of calls)")
    for title, variables in MALLOCS.items():
        found = measure(variables)
        best = min(min(row[3:]) for rows in found.values() for row in rows)
        quick = {name: [r for r in rows if max(r[3:]) <= QUICK * best] for name, rows in found.items()}
        slow = {name: [r for r in rows if min(r[3:]) >= SLOW * best] for name, rows in found.items()}
        for times, chosen in (("quick", quick), ("slow", slow)):
            print(f"\n{title}, yardstick {times}\n\n| K |", " | ".join(CANDIDATES), "|")
            print("|---" * (len(CANDIDATES) + 1) + "|")
            for depth in DEPTHS:
                cells = [cell([row for row in chosen[name] if row[0] == depth]) for name in CANDIDATES]
                print(f"| {depth} |", " | ".join(cells), "|")


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] in CANDIDATES:
        print(json.dumps(samples(sys.argv[1])))
    else:
        main()
