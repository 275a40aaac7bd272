"""What compiling costs and what keeping the code saves: chapter 3.

    python3 bench/ch3.py

First calls are timed in fresh processes. Calls that are compared take turns in one run; figures are medians.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from timing import medians, processor

import chapters  # finds the build tree

import ch1_fixed_size as ch1
import ch2_dynamic_size as ch2
import ch3_jit_caching as ch3

NUM_PROCESSES = 7
TURNS = 201


def ones(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((m, k), np.float32), np.ones((k, n), np.float32)


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def first_calls(num_calls: int = 12) -> list[float]:
    """Seconds of the first, second, … call of gemm in a process, the median of several processes."""
    code = f"""
import json, time, numpy as np, ch3
A, B = np.ones((8, 32), np.float32), np.ones((32, 16), np.float32)
times = [time.perf_counter()]
for _ in range({num_calls}):
    ch3.gemm(A, B)
    times.append(time.perf_counter())
print(json.dumps(times))
"""
    runs = []
    for _ in range(NUM_PROCESSES):
        done = subprocess.run(
            [sys.executable, "-c", code], env=chapters.environment(), capture_output=True, check=True
        )
        runs.append(np.diff(json.loads(done.stdout)))
    return np.median(runs, axis=0).tolist()


def answering(gemm, num_shapes: int = 64, turns: int = 3) -> list[float]:
    """Seconds from an empty cache until the first 1, 2, … distinct shapes have been answered."""
    operands = [ones(8 + n, 32, 16) for n in range(num_shapes)]
    runs = []
    for _ in range(turns):
        ch3.clear_cache()
        start = time.perf_counter()
        times = []
        for A, B in operands:
            gemm(A, B)
            times.append(time.perf_counter() - start)
        runs.append(times)
    return np.median(runs, axis=0).tolist()


def table(head: str, rows: dict, unit: float, digits: int) -> None:
    print(f"\n| {head} |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {unit * value:.{digits}f} |")


def compiling() -> None:
    """One compile, and where its time goes."""
    A, B = ones(8, 32, 16)
    first, *later = first_calls()

    def again(gemm, **options):
        def call():
            ch3.clear_cache()
            gemm(A, B, **options)

        return call

    warm = medians(
        {
            "the same in a process that has compiled before": again(ch3.gemm),
            "the same for one fixed shape": again(ch3.gemm_fixed),
            "the same at `opt_level=0`": again(ch3.gemm, opt_level=0),
            "of which building the IR (`ir()`, which also prints)": ch3.ir,
        },
        15,
    )
    rows = {"the first `gemm(A, B)` of a process": first, **warm}
    table("compiling | ms", rows, 1e3, 2)
    print(f"\nThe second call of a process: {1e6 * later[0]:.1f} µs; the tenth: {1e6 * later[8]:.1f} µs.")


def calling() -> None:
    """What a call costs when the code is there, and when fixed shapes pay."""
    A, B = ones(8, 32, 16)
    ir = ch3.ir()
    table(
        "a call, 8x32 by 32x16 | µs",
        medians(
            {
                "`ch1.gemm`: a fixed shape, no cache": (lambda: ch1.gemm(A, B), 100),
                "`gemm_fixed`: a fixed shape, its sizes in the key": (lambda: ch3.gemm_fixed(A, B), 100),
                "`ch2.gemm`: any shape, no cache": (lambda: ch2.gemm(A, B), 100),
                "`gemm`: any shape": (lambda: ch3.gemm(A, B), 100),
                f"`run(ir, …)`: any shape, a key of {len(ir)} bytes": (lambda: ch3.run(ir, A, B), 100),
                "NumPy": (lambda: A @ B, 100),
            },
            TURNS,
        ),
        1e6,
        2,
    )
    print("\n| a call | any shape, µs | fixed, µs | calls until the compile has paid |\n|---|---|---|---|")
    for m, k, n in [(1, 64, 64), (8, 32, 16), (64, 64, 64), (200, 200, 200)]:
        A, B = ones(m, k, n)
        ch3.clear_cache()
        ch3.gemm_fixed(A, B)
        compiled = ch3.cache_info().compile_seconds
        both = medians({"any": (lambda: ch3.gemm(A, B), 10), "fixed": (lambda: ch3.gemm_fixed(A, B), 10)}, 51)  # noqa: B023
        saved = both["any"] - both["fixed"]
        after = f"{compiled / saved:,.0f}" if saved > 0.04 * both["any"] else "never"
        print(f"| {m}x{k} by {k}x{n} | {1e6 * both['any']:.2f} | {1e6 * both['fixed']:.2f} | {after} |")


def shapes() -> None:
    """Distinct shapes, answered by one function or by one each."""
    any_shape, fixed = answering(ch3.gemm), answering(ch3.gemm_fixed)
    print("\n| the first n distinct shapes | any shape, ms | fixed, ms |\n|---|---|---|")
    for n in (1, 4, 16, 64):
        print(f"| {n} | {1e3 * any_shape[n - 1]:.1f} | {1e3 * fixed[n - 1]:.1f} |")


def cliff() -> None:
    """The same shapes over and over, as many as there is room for, and one more."""
    capacity = ch3.cache_info().capacity
    print("\n| fixed shapes, in turn, three times | hits | misses | ms |\n|---|---|---|---|")
    for num_shapes in (capacity, capacity + 1):
        operands = [ones(8 + n, 32, 16) for n in range(num_shapes)]
        ch3.clear_cache()
        took = seconds(lambda: [ch3.gemm_fixed(A, B) for _ in range(3) for A, B in operands])  # noqa: B023
        info = ch3.cache_info()
        print(f"| {num_shapes} | {info.hits} | {info.misses} | {1e3 * took:.0f} |")


def threads() -> None:
    """Eight threads that begin together, with nothing compiled."""

    def together(calls) -> float:
        ready = threading.Barrier(len(calls) + 1)
        workers = [threading.Thread(target=lambda call=call: (ready.wait(), call())) for call in calls]
        ch3.clear_cache()
        for worker in workers:
            worker.start()
        ready.wait()
        return seconds(lambda: [worker.join() for worker in workers])

    A, B = ones(8, 32, 16)
    cases = {
        "one thread": [lambda: ch3.gemm(A, B)],
        "eight threads, one function": [lambda: ch3.gemm(A, B)] * 8,
        "eight threads, eight functions": [lambda n=n: ch3.gemm_fixed(A[:n], B) for n in range(1, 9)],
    }
    rows = {name: statistics.median(together(calls) for _ in range(9)) for name, calls in cases.items()}
    table("until all have their first result | ms", rows, 1e3, 1)


def main() -> None:
    print(f"{processor()}, LLVM {chapters.llvm_major()}, NumPy {np.__version__}")
    compiling()
    calling()
    shapes()
    cliff()
    threads()


if __name__ == "__main__":
    main()
