"""Chapter 6 from several threads at once, and after ten thousand calls."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree
from course_testing import run_python, ticks_during

import ch6


def test_compiles_once_for_each_lowering():
    printed = run_python("""
        import numpy as np, ch6
        for n in (1, 5, 100):
            for lowering in ("polynomial", "llvm", "libm"):
                ch6.softmax(np.ones(n, np.float32), lowering=lowering)
                ch6.softmax(np.ones((3, n), np.float32), lowering)
        info = ch6.cache_info()
        print(info.misses, info.hits)
        ch6.clear_cache()
        print(ch6.cache_info().size, ch6.softmax(np.ones(4, np.float32))[0])
    """)
    assert printed == "3 15\n0 0.25\n"


def test_eight_threads_may_make_the_first_calls_together():
    run_python("""
        import threading, numpy as np, ch6
        x = np.linspace(-5, 5, 100).astype(np.float32)
        right = np.exp(x.astype(np.float64)); right /= right.sum()
        ready, wrong = threading.Barrier(8), []
        def work(k):
            ready.wait()
            first = {}
            for i in range(300):
                lowering = ("polynomial", "llvm", "libm")[(i + k) % 3]
                y = ch6.softmax(x, lowering=lowering)
                if not np.allclose(y, right, rtol=1e-5) or (first.setdefault(lowering, y) != y).any():
                    wrong.append((k, i))
        threads = [threading.Thread(target=work, args=[k]) for k in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
    """)


def test_other_threads_run_during_a_call():
    x = np.ones((64, 30_000), np.float32)
    assert ticks_during(lambda: ch6.scalar_softmax(x, lowering="libm")) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch6
        x = np.ones((10, 50), np.float32)
        def calls(n):
            for _ in range(n):
                ch6.softmax(x)
                ch6.softmax(x[3], lowering="libm")
                ch6.softmax(x[::-1, ::-1], lowering="llvm")
                for bad in (x[None], None):
                    try:
                        ch6.softmax(bad)
                    except (TypeError, ValueError):
                        pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 1024  # the views made here, kept, would be twice that


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch6
        x = np.ones(50, np.float32)
        def compiles(n):
            for _ in range(n):
                ch6.clear_cache()
                ch6.naive_softmax(x)
                try:
                    ch6.stages(ir="nonsense")
                except ch6.CompileError:
                    pass
        compiles(5)
        before = chapters.resident_kb()
        compiles(20)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 1024  # one context that stayed would be more


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
