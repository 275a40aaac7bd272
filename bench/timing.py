"""What the benchmarks have in common: candidates that take turns, medians, the limits of the machine."""

import pathlib
import platform
import re
import statistics
import time

import numpy as np


def seconds_a_call(call, num_calls: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(num_calls):
        call()
    return (time.perf_counter() - start) / num_calls


def medians(candidates: dict, turns: int, pause: float = 0) -> dict[str, float]:
    """{name: seconds a call}: the median of `turns` turns. A candidate is a callable, or (callable, calls a turn).

    Each is called once before; then they take turns in one run, so that what the machine does besides meets all alike.
    pause: seconds of rest before each turn, and 20 ms of calls that are not counted. Threads of a pool wait for their
    next work in a loop for a while, and take a core from whoever has the next turn; then they sleep, and wake slowly.
    """
    pairs = {name: case if isinstance(case, tuple) else (case, 1) for name, case in candidates.items()}
    samples = {name: [] for name in pairs}
    for call, _ in pairs.values():
        call()
    for _ in range(turns):
        for name, (call, num_calls) in pairs.items():
            if pause:
                time.sleep(pause)
                warm = time.perf_counter() + 0.02
                while time.perf_counter() < warm:
                    call()
            samples[name].append(seconds_a_call(call, num_calls))
    return {name: statistics.median(values) for name, values in samples.items()}


def copy_of(num_bytes: int):
    """A callable that copies an array of this size (NumPy's copyto, a memcpy), to take turns with what is compared
    with it. It moves 2 * num_bytes: read and write, not counting that a write may read its cache line first."""
    source, target = np.ones(num_bytes // 8), np.zeros(num_bytes // 8)
    return lambda: np.copyto(target, source)


def processor() -> str:
    """The processor's name, as the system gives it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    found = cpuinfo.is_file() and re.search(r"model name\s*: (.*)", cpuinfo.read_text())
    return found[1] if found else platform.machine()
