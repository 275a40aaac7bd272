"""What is compiled once for each structure, from several threads at once, and after ten thousand calls."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import ticks_during

import ch11
from ch11_testing import M, draw


def test_a_structure_is_compiled_once(empty_cache):
    assert ch11.cache_info()[:3] == (0, 0, 0.0)
    for seed in range(5):
        a = draw(3, 4, seed=seed)
        ch11.forward(ch11.softmax(ch11.add(a, a)))
    info = ch11.cache_info()
    assert (info.misses, info.hits, info.size) == (1, 4, 1) and info.compile_seconds > 0
    # Strides are the arrays' matter, not the structure's.
    ch11.forward(ch11.softmax(ch11.add(draw(4, 3).T, a[::-1])))
    assert ch11.cache_info()[:2] == (5, 1)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ch11.scale(draw(3, 4), 0.25),
        lambda: ch11.scale(draw(3, 4), np.nextafter(np.float32(0.5), np.float32(1))),
        lambda: ch11.scale(draw(4, 3), 0.5),
        lambda: ch11.scale(draw(12), 0.5),
        lambda: ch11.softmax(draw(3, 4)),
        lambda: ch11.scale(ch11.scale(draw(3, 4), 0.5), 0.5),
    ],
)
def test_another_structure_is_another_program(other, empty_cache):
    ch11.forward(ch11.scale(draw(3, 4), 0.5))
    ch11.forward(other())
    assert ch11.cache_info()[:2] == (0, 2)


def test_eight_threads_compile_one_structure_once(empty_cache):
    q = draw(9, 8)
    ready, results = threading.Barrier(8), [None] * 8

    def work(i):
        ready.wait()
        results[i] = ch11.attention(q, q, q, 2, causal=True).numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ch11.cache_info()[:2] == (7, 1)
    assert all(np.array_equal(r, results[0]) for r in results)


def test_other_threads_run_while_one_computes_or_compiles():
    a = draw(256, 256)
    product = ch11.Tensor(a) @ a @ a
    assert ticks_during(lambda: ch11.forward(product)) > 20
    assert ticks_during(lambda: ch11.stages(product)) > 20


def test_ten_thousand_calls_leave_no_memory_behind():
    q = draw(5, 8)
    expression = ch11.attention(q, q, q, 2, causal=True)
    for _ in range(500):
        ch11.forward(expression)
    before = chapters.resident_kb()
    for _ in range(10_000):
        ch11.forward(expression)
        ch11.forward(ch11.attention(q, q, q, 2, causal=True))
    assert chapters.resident_kb() - before < 2048


def test_compiling_and_forgetting_leaves_little_behind():
    def compile_some(n):
        for i in range(n):
            ch11.forward(ch11.scale(M, float(i)))
            ch11.clear_cache()

    compile_some(20)
    before = chapters.resident_kb()
    compile_some(60)
    assert chapters.resident_kb() - before < 60 * 64  # a leaked context would be some MB each


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
