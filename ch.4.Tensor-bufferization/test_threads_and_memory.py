"""Chapter 4 from several threads at once, and after ten thousand calls, with the deallocation passes and without."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import run_python, ticks_during

import ch4
from ch4_testing import every_variant


def test_eight_threads_may_make_the_first_calls_together():
    run_python("""
        import threading, numpy as np, ch4
        A = np.arange(400, dtype=np.float32).reshape(20, 20) % 7
        ready, wrong = threading.Barrier(8), []
        def work(factor):
            ready.wait()
            for i in range(300):
                variant = ("naive", "out_parameter", "destination")[(i + int(factor)) % 3]
                if not np.array_equal(ch4.gemm(factor * A, A.T, variant), factor * (A @ A.T)):  # exact
                    wrong.append((factor, variant))
        threads = [threading.Thread(target=work, args=[np.float32(i)]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        made, freed, _ = ch4.allocations()
        assert made == freed == 800 * 3, (made, freed)
    """)


@every_variant
def test_other_threads_run_during_a_call(variant):
    A = np.ones((300, 300), np.float32)
    assert ticks_during(lambda: ch4.gemm(A, A, variant)) > 20


@every_variant
def test_ten_thousand_calls_leave_no_memory(variant):
    growth_kb = run_python(f"""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        def calls(n):
            for _ in range(n):
                ch4.gemm(A, B, "{variant}")
                ch4.gemm(A[::-1], B.T.copy().T, "{variant}")
                try:
                    ch4.gemm(A, A, "{variant}")
                except ValueError:
                    pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        made, freed, _ = ch4.allocations()
        assert made == freed, (made, freed)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


@pytest.mark.parametrize("variant", ["naive", "out_parameter"])
def test_without_deallocation_memory_is_lost_so_it_leaves_little_of_it(variant):
    """What the passes are for: 10,000 calls without them lose a buffer of 1 KiB (and 64 bytes) each."""
    growth_kb = run_python(f"""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        for _ in range(1000):
            ch4.gemm(A, B, "{variant}", deallocate=False)
        before, (made, freed, _) = chapters.resident_kb(), ch4.allocations()
        for _ in range(10_000):
            ch4.gemm(A, B, "{variant}", deallocate=False)
        after = ch4.allocations()
        assert (after.made - made) - (after.freed - freed) == 10_000
        print(chapters.resident_kb() - before)
    """)
    assert 9_000 < int(growth_kb) < 16_000


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch4
        A, B = np.ones((16, 8), np.float32), np.ones((8, 16), np.float32)
        def compiles(n):
            for _ in range(n):
                ch4.run(ch4.ir("naive"), A, B, "naive")
                try:
                    ch4.stages(ir="func.func @gemm() { return }")
                except ch4.CompileError:
                    pass
        compiles(5)
        before = chapters.resident_kb()
        compiles(15)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 3072  # one context that stayed would be more


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
