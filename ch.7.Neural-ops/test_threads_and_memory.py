"""What is compiled once and kept, from several threads at once, and after ten thousand calls."""

import gc
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import run_python, ticks_during

import ch7
from ch7_testing import draw

# --- the cache ---------------------------------------------------------------------------------------


def fresh_graph(factor=1):
    g = ch7.Graph()
    x = g.variable((3, 5))
    y = g.add(x, x)
    for _ in range(factor):
        y = g.mul(y, x)
    return g, y


def test_equal_ir_is_compiled_once():
    ch7.clear_cache()
    functions = [g.compile(y, "f") for g, y in (fresh_graph() for _ in range(5))]
    info = ch7.cache_info()
    assert (info.hits, info.misses, info.size) == (4, 1, 1) and info.compile_seconds > 0
    assert len({fn(draw(3, 5)).tobytes() for fn in functions}) == 1
    g, y = fresh_graph()
    g.compile(y, "g")  # another name, other passes, another graph
    g.compile(y, "f", fuse=False)
    other, z = fresh_graph(2)
    other.compile(z, "f")
    assert ch7.cache_info()[:2] == (4, 4)


def test_functions_need_neither_graph_nor_cache():
    g, y = fresh_graph()
    fn = g.compile(y, "f")
    expected = fn(draw(3, 5))
    ch7.clear_cache()
    assert ch7.cache_info().size == 0
    del g, y
    gc.collect()
    assert np.array_equal(fn(draw(3, 5)), expected)


def test_values_keep_their_graph():
    y = fresh_graph()[1]
    gc.collect()
    assert y.shape == (3, 5) and repr(y) == "<mul #2 of shape (3, 5)>"


def test_the_cache_is_bounded():
    run_python("""
        import numpy as np, ch7
        g = ch7.Graph()
        functions = [g.compile(g.relu(g.variable((n,))), "f") for n in range(1, 71)]
        assert ch7.cache_info().size == ch7.cache_info().capacity == 64
        for n, fn in enumerate(functions, 1):
            assert fn(np.ones(n, np.float32)).sum() == n
    """)


# --- threads and memory ------------------------------------------------------------------------------


def test_eight_threads_build_compile_and_call():
    run_python("""
        import threading, numpy as np, ch7
        ready, wrong, shared = threading.Barrier(8), [], ch7.Graph()
        x = shared.variable((6, 4))
        y = shared.add(shared.mul(x, x), x)
        def work(i):
            g = ch7.Graph()
            a, w = g.variable((5, 6)), g.variable((6, 4))
            product = g.matmul(a, w)
            A, W = np.full((5, 6), i, np.float32), np.arange(24, dtype=np.float32).reshape(6, 4)
            ready.wait()
            mine, ours = g.compile(product, "f"), shared.compile(y, "f")  # small integers: exact
            for n in range(200):
                shared.relu(y)  # the graph grows while others read it
                if not np.array_equal(mine(A, W), A @ W) or not np.array_equal(ours(W), W * W + W):
                    wrong.append(i)
                if n % 50 == i:
                    ch7.clear_cache()
                    mine = g.compile(product, "f")
        threads = [threading.Thread(target=work, args=[i]) for i in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
        assert len(shared) == 3 + 8 * 200
    """)


def test_a_process_ends_well():
    run_python(
        """
        import numpy as np, ch7
        g = ch7.Graph()
        fn = g.compile(g.softmax(g.variable((3, 3))), "f")
        fn(np.ones((3, 3), np.float32))
        """,
        MALLOC_PERTURB_="165",
    )


@pytest.mark.parametrize("what", ["compile", "inspect", "call"])
def test_other_threads_run_meanwhile(what):
    g = ch7.Graph()
    x = g.variable((300, 300))
    y = g.matmul(g.matmul(x, x), x)
    fn, array = g.compile(y, "f"), draw(300, 300)

    def compile_anew():
        ch7.clear_cache()
        g.compile(y, "g")

    actions = {"compile": compile_anew, "inspect": lambda: ch7.assembly(g, y), "call": lambda: fn(array)}
    assert ticks_during(actions[what]) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch7
        g = ch7.Graph()
        x, b = g.variable((60, 70)), g.variable((70,))
        fn = g.compile(g.softmax(g.add(g.mul(x, x), b)), "f")
        X, B = np.ones((60, 70), np.float32), np.ones(70, np.float32)
        def calls(n):
            for _ in range(n):
                fn(X, B)
                fn(X[::-1], B)
                try:
                    ch7.execute_generic(fn, [X, X], (60, 70))
                except ValueError:
                    pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


def test_graphs_and_compiles_leave_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch7
        def compiles(n):
            for _ in range(n):
                g = ch7.Graph()
                x = g.variable((3, 4))
                fn = g.compile(g.relu(x), "f")
                fn(np.ones((3, 4), np.float32))
                try:
                    g.compile(g.relu(x), "f", ir="func.func @f(")
                except ch7.CompileError:
                    pass
                ch7.clear_cache()
                for _ in range(2000):
                    x = g.relu(x)
        compiles(10)
        before = chapters.resident_kb()
        compiles(40)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 3072  # one graph of 2000 nodes that stayed would be some hundred kB each time


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
