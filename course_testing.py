"""What the chapters' tests have in common: arrays with any strides, the bound of a product's error, fresh processes."""

import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
from hypothesis import strategies as st

import chapters

EPSILON = 2.0**-24  # the largest relative error of one float32 rounding


@st.composite
def strided(draw, shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """A random array of this shape with any strides: sliced, reversed, transposed, repeated, misaligned."""
    dtype = np.dtype(dtype)
    steps = [draw(st.sampled_from([1, 1, 2, 3, -1, -2])) for _ in shape]
    offset = draw(st.sampled_from([0, 0, 1, 4]))  # bytes: 1 is not aligned
    transposed = draw(st.booleans())
    repeated = draw(st.sampled_from([None, None, *range(len(shape))]))  # an axis of stride 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [size * abs(step) for size, step in zip(shape, steps)]
    values = 4 * rng.standard_normal(sizes)
    memory = np.zeros(values.size * dtype.itemsize + offset, np.uint8)
    base = np.frombuffer(memory.data, dtype, offset=offset)
    base = base.reshape(sizes[::-1]).T if transposed else base.reshape(sizes)
    base[...] = values.astype(dtype)
    view = base[tuple(slice(None, None, step) for step in steps)]
    if repeated is not None and shape[repeated]:
        view = np.broadcast_to(view.take([0], axis=repeated), shape)
    assert view.shape == tuple(shape)
    return view


def assert_is_product(C: np.ndarray, A: np.ndarray, B: np.ndarray) -> None:
    """C = A @ B up to rounding. Each element is K products and K additions in float32, so it is off by at most
    K + 1 roundings of the sum of |a||b|, whatever the order of the sum."""
    assert C.shape == (A.shape[0], B.shape[1]) and C.dtype == np.float32
    exact = A.astype(np.float64) @ B.astype(np.float64)
    scale = np.abs(A).astype(np.float64) @ np.abs(B).astype(np.float64)
    assert (np.abs(C - exact) <= (A.shape[1] + 1) * EPSILON * scale).all()


def run_python(code: str, **variables: str) -> str:
    """Runs code in a fresh process with the chapters importable, which must end well; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=chapters.environment() | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ticks_during(work, times: int = 5) -> int:
    """How often another Python thread gets to run while work() is called `times` times. Nobody is asked to give the
    lock up meanwhile, so where work() keeps it, that is hardly ever."""
    ticks, done = 0, threading.Event()

    def tick():
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0)  # offers the lock

    work()  # what is done once is done
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before = ticks
        for _ in range(times):
            work()
        return ticks - before
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()


def together(*calls, patience_s: float = 60) -> list:
    """What the calls return, or the exceptions they raise, each in a thread of its own, begun at the same time."""
    ready, results = threading.Barrier(len(calls)), [None] * len(calls)

    def work(i):
        ready.wait()
        try:
            results[i] = calls[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience_s)
        assert not thread.is_alive(), "a thread waits forever"
    return results


def memory_growth_kb(setup: str, body: str, warm_up: int = 1000, calls: int = 10_000) -> int:
    """How much a fresh process grows while it runs `body` `calls` times, after `warm_up` times. `setup` runs once."""
    lines = ["import chapters, numpy as np", *textwrap.dedent(setup).splitlines()]
    lines += ["def turns(n):", "    for _ in range(n):"]
    lines += ["        " + line for line in textwrap.dedent(body).splitlines()]
    lines += [f"turns({warm_up})", "before = chapters.resident_kb()"]
    lines += [f"turns({calls})", "print(chapters.resident_kb() - before)"]
    return int(run_python("\n".join(lines)))
