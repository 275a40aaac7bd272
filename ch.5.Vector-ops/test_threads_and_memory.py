"""Memory that no kernel of chapter 5 may touch, many threads at once, and ten thousand calls."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import run_python, ticks_during

import ch5
from ch5_testing import random_arrays

# --- memory that must not be touched ------------------------------------------------------------------

GUARDED = """
    import ctypes, mmap, sys
    import numpy as np, ch5

    page = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    pages = []

    def at_the_end(values):
        '''The values in memory that nothing may be read or written behind.'''
        memory = mmap.mmap(-1, 2 * page)
        pages.append(memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert libc.mprotect(ctypes.c_void_p(address + page), page, 0) == 0, ctypes.get_errno()
        array = np.frombuffer(memory, np.float32, len(values), page - values.nbytes)
        array[:] = values
        return array
"""


def test_nothing_behind_the_end_is_touched():
    """A, B and the result end where a page begins that may not be read or written."""
    run_python(
        GUARDED
        + """
    numbers = np.arange(300, dtype=np.float32)
    A, B, C = (at_the_end(numbers) for _ in range(3))
    for n in range(300):
        for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
            C[:] = -1
            saxpy(0.5, A[300 - n:], B[300 - n:], out=C[300 - n:])
            assert np.array_equal(C[300 - n:], np.float32(0.5) * A[300 - n:] + B[300 - n:])
            assert (C[:300 - n] == -1).all()
    """
    )


@pytest.mark.parametrize("masked, ends_well", [(True, True), (False, False)])
def test_a_tail_without_its_mask_dies_there(masked, ends_well):
    """What shows that the test above would see it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "\n".join(line.removeprefix("    ") for line in GUARDED.splitlines())
            + f"""
ir = ch5.ir(kernel="vector")
assert ir.count(", %3 {{in_bounds") == 3
if not {masked}:
    ir = ir.replace(", %3 {{in_bounds", " {{in_bounds")
A, B, C = (at_the_end(np.ones(5, np.float32)) for _ in range(3))
ch5.run(ir, 2.0, A, B, out=C)
assert (C == 3).all()
""",
        ],
        env=chapters.environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == ends_well, done.stderr


# --- threads, and memory that must not grow -----------------------------------------------------------


def test_eight_threads_may_make_the_first_call_together():
    run_python("""
        import threading, numpy as np, ch5
        A = np.arange(1003, dtype=np.float32)
        B = np.arange(1003, dtype=np.float32)[::-1].copy()
        functions = [ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector]
        ready, wrong = threading.Barrier(8), []
        def work(factor):
            ready.wait()
            for i in range(500):
                saxpy = functions[(i + factor) % 3]
                if not np.array_equal(saxpy(factor, A, B), np.float32(factor) * A + B):
                    wrong.append(factor)
        threads = [threading.Thread(target=work, args=[i]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        info = ch5.cache_info()
        assert (info.misses, info.hits, info.size) == (3, 8 * 500 - 3, 3), info
    """)


def test_the_cache_can_be_cleared():
    run_python("""
        import numpy as np, ch5
        A = np.ones(100, np.float32)
        for _ in range(3):
            assert (ch5.saxpy(2, A, A) == 3).all() and (ch5.run(ch5.ir(), 2, A, A) == 3).all()
            assert ch5.cache_info().misses == 2 and ch5.cache_info().size == 2
            ch5.clear_cache()
            assert ch5.cache_info().misses == ch5.cache_info().size == 0
    """)


def test_a_process_ends_well():
    """Freed memory is overwritten here, so that nothing can be used after it is gone and go unnoticed."""
    run_python(
        """
        import numpy as np, ch5
        A = np.ones(100, np.float32)
        for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
            saxpy(2, A, A)
        ch5.run(ch5.ir(), 2, A, A)
        """,
        MALLOC_PERTURB_="165",
    )


def test_other_threads_run_while_one_computes_or_compiles():
    A, B = random_arrays(100_000)
    out = np.zeros_like(A)
    assert ticks_during(lambda: ch5.measure(1000, 0.3, A, B, out)) > 20
    assert ticks_during(lambda: ch5.assembly("vector")) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch5
        A, B = np.ones(1003, np.float32), np.ones(1003, np.float32)
        out = np.ones(1003, np.float32)
        def calls(n):
            for _ in range(n):
                for saxpy in (ch5.saxpy, ch5.saxpy_linalg, ch5.saxpy_vector):
                    saxpy(0.3, A, B)
                    saxpy(0.3, A[::-1], B, out=out)
                ch5.saxpy(0.3, out[1:], B[1:], out=out[:-1])
                try:
                    ch5.saxpy(0.3, A, B[1:])
                except ValueError:
                    pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch5
        A = np.ones(37, np.float32)
        bad = ch5.ir("vector").replace("vector<16xi1>", "vector<8xi1>")
        def compiles(n):
            for _ in range(n):
                ch5.clear_cache()
                ch5.saxpy_vector(2, A, A)
                ch5.assembly()
                try:
                    ch5.stages(ir=bad)
                except ch5.CompileError:
                    pass
        compiles(10)
        before = chapters.resident_kb()
        compiles(30)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
