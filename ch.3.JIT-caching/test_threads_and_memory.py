"""Chapter 3 from several threads at once, and after ten thousand calls."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import assert_is_product, memory_growth_kb, run_python, together

import ch3
from ch3_testing import CAPACITY, A, B, bad_ir, draw

# --- threads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: ch3.gemm(A, B),
        lambda: ch3.gemm_fixed(A, B),
        lambda: ch3.run(ch3.ir(), A, B),
    ],
)
def test_eight_threads_compile_one_function_once(call):
    for _ in range(5):
        ch3.clear_cache()
        results = together(*[call] * 8)
        assert ch3.cache_info()[:2] == (7, 1)
        for C in results:
            assert_is_product(C, A, B)


def test_eight_threads_compile_eight_functions():
    results = together(*[lambda n=n: ch3.gemm_fixed(A[:, :n], B[:n]) for n in range(8)])
    for n, C in enumerate(results):
        assert_is_product(C, A[:, :n], B[:n])
    assert ch3.cache_info()[:2] == (0, 8)


def test_eight_threads_are_all_told_of_a_failure():
    ir = bad_ir()
    results = together(*[lambda: ch3.run(ir, A, B)] * 8)
    assert {type(r) for r in results} == {ch3.CompileError} and len({str(r) for r in results}) == 1
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY) and ch3._num_live_programs() == 0


def test_clearing_while_eight_threads_call():
    stop, cleared = threading.Event(), 0

    def calls(seed):
        num_calls = 0
        x, y = draw(5, 7, seed=seed), draw(7, 3, seed=seed + 1)
        expected = ch3.gemm(x, y)
        while not stop.is_set():
            assert np.array_equal(ch3.gemm(x, y), expected)
            assert np.array_equal(ch3.gemm_fixed(x, y), expected)
            num_calls += 2
        return num_calls

    def clears():
        nonlocal cleared
        try:
            for _ in range(30):
                ch3.gemm(A, B)  # so that there is something to clear
                ch3.clear_cache()
                cleared += 1
        finally:
            stop.set()

    *results, error = together(*[lambda seed=seed: calls(seed) for seed in range(8)], clears)
    assert error is None and cleared == 30
    assert all(isinstance(r, int) and r > 0 for r in results), results
    ch3.clear_cache()
    assert ch3._num_live_programs() == 0


# --- processes and memory ----------------------------------------------------------------------------


def test_a_process_ends_well():
    """Freed memory is overwritten here, so that nothing can be used after it is gone and go unnoticed."""
    run_python(
        """
        import numpy as np, ch3
        A, B = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
        for _ in range(3):
            ch3.gemm(A, B), ch3.gemm_fixed(A, B), ch3.run(ch3.ir(), A, B)
            ch3.clear_cache()
        ch3.gemm(A, B)
        cache = ch3.Cache()
        cache.get("a", lambda: cache)
        """,
        MALLOC_PERTURB_="165",
    )


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = memory_growth_kb(
        """
        import ch3
        A, B = np.ones((5, 7), np.float32), np.ones((7, 3), np.float32)
        ir = ch3.ir()
        """,
        """
        ch3.gemm(A, B)
        ch3.gemm_fixed(A, B)
        ch3.run(ir, A, B)
        try:
            ch3.gemm(A, A)
        except ValueError:
            pass
        """,
    )
    assert growth_kb < 2048


def test_clearing_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch3
        A, B = np.ones((5, 7), np.float32), np.ones((7, 3), np.float32)
        bad = ch3.ir().replace("fill", "fil")
        def compiles(n):
            for _ in range(n):
                ch3.gemm(A, B)
                ch3.clear_cache()
                try:
                    ch3.run(bad, A, B)
                except ch3.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(40)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048  # one program that stayed each time would be more


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
