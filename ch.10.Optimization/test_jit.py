"""What chapter 10 must do. Run it by pytest, or as a script: `python3 test_jit.py`.

What the kernel of the last rung can beyond the others: test_kernel.py. IR and schedules: test_schedules.py. The
passes' own tests are tests/*.mlir.
"""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import assert_is_product, run_python, strided, ticks_during

import ch10
import ch10_optimization
from ch10_testing import EVERY_RUNG, SCALAR, VECTOR, draw, numpy_softmax, product, same_bits


def test_pipelines():
    assert (*SCALAR, *VECTOR) == ch10.PIPELINES
    assert ch10.PIPELINES[0] == "baseline" and ch10.PIPELINES[-1] == "optimized"


# --- products -------------------------------------------------------------------------------------------

SHAPES = [
    (8, 4, 32), (1, 1, 1), (64, 64, 64), (7, 3, 31), (9, 17, 33), (33, 1, 1), (1, 100, 1), (65, 66, 67),
    (0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0),
]  # fmt: skip


@EVERY_RUNG
@pytest.mark.parametrize("m, k, n", SHAPES)
def test_every_shape(m, k, n, pipeline):
    a, b = draw(m, k), draw(k, n, seed=1)
    assert_is_product(product(a, b, pipeline), a, b)


@pytest.mark.parametrize("rows", range(1, 21))
def test_any_number_of_rows(rows):
    a, b = draw(rows, 24), draw(24, 40, seed=1)
    assert_is_product(product(a, b), a, b)


@EVERY_RUNG
@settings(deadline=None, max_examples=8)
@given(st.data())
def test_any_shape_and_strides(pipeline, data):
    m, k, n = (data.draw(st.integers(0, 40)) for _ in range(3))
    a, b = data.draw(strided((m, k))), data.draw(strided((k, n)))
    kept = a.copy(), b.copy()
    c = product(a, b, pipeline)
    assert_is_product(c, a, b)
    assert np.array_equal(a, kept[0]) and np.array_equal(b, kept[1])
    assert same_bits(c, product(a.copy(), b.copy(), pipeline))


@EVERY_RUNG
def test_infinities_and_nans_stay_where_they_are(pipeline):
    """The zeros that fill a shape up meet only each other, never a number of the caller."""
    a, b = draw(5, 6), draw(6, 7, seed=1)
    a[2, 3], a[4, 0], b[1, 5] = np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        assert np.allclose(product(a, b, pipeline), a @ b, atol=1e-5, equal_nan=True)


# --- exactness ------------------------------------------------------------------------------------------


@EVERY_RUNG
@settings(deadline=None, max_examples=8)
@given(st.data())
def test_a_row_does_not_depend_on_the_others(pipeline, data):
    m, k, n = (
        data.draw(st.sampled_from([2, 5, 8, 9, 13, 64, 130])),
        *(data.draw(st.integers(1, 70)) for _ in "kn"),
    )
    a, b = draw(m, k, seed=data.draw(st.integers(0, 99))), draw(k, n, seed=1)
    all_rows = product(a, b, pipeline)
    i = data.draw(st.integers(0, m - 1))
    assert same_bits(product(a[i : i + 1], b, pipeline), all_rows[i : i + 1])
    first = data.draw(st.integers(0, i))
    assert same_bits(product(a[first : i + 1], b, pipeline), all_rows[first : i + 1])


def test_a_row_among_512():
    a, b = draw(512, 96), draw(96, 160, seed=1)
    whole = product(a, b)
    for i in (0, 7, 8, 100, 511):
        assert same_bits(product(a[i : i + 1], b), whole[i : i + 1])


@pytest.mark.parametrize("rungs", [SCALAR, VECTOR])
def test_every_rung_adds_in_the_same_order(rungs):
    a, b = draw(37, 130), draw(130, 75, seed=1)
    results = [product(a, b, pipeline) for pipeline in rungs]
    assert all(same_bits(results[0], other) for other in results[1:])


# --- expressions ----------------------------------------------------------------------------------------


def network(x, w1, b1, w2, b2):
    hidden = ch10.relu(ch10.linear(x, w1, b1))
    return ch10.softmax(ch10.linear(hidden, w2, b2))


@EVERY_RUNG
@pytest.mark.parametrize("rows, width, hidden, out", [(1, 32, 64, 32), (8, 64, 96, 10), (19, 30, 50, 7)])
def test_a_network(rows, width, hidden, out, pipeline):
    x, w1, b1, w2, b2 = (draw(*s) for s in [(rows, width), (hidden, width), (hidden,), (out, hidden), (out,)])
    exact = numpy_softmax(np.maximum(x.astype(np.float64) @ w1.T + b1, 0) @ w2.T + b2)
    assert np.allclose(ch10.forward(network(x, w1, b1, w2, b2), pipeline), exact, atol=1e-5)


A, B, C, S = draw(16, 32), draw(32, 64, seed=1), draw(16, 64, seed=2), draw(32, 32, seed=3) / 8
P = A @ B
T = ch10.Tensor
EXPRESSIONS = {
    "relu": (lambda: ch10.relu(T(A) @ B), np.maximum(P, 0)),
    "plus": (lambda: T(A) @ B + C, P + C),
    "plus, the product second": (lambda: C + T(A) @ B, P + C),
    "two products": (lambda: T(A) @ B + T(C) @ draw(64, 64), P + C @ draw(64, 64)),
    "times itself": (lambda: (p := T(A) @ B) * p, P * P),
    "used twice": (lambda: (p := T(A) @ B) + ch10.relu(p), P + np.maximum(P, 0)),
    "softmax": (lambda: ch10.softmax(T(A) @ B), numpy_softmax(P)),
    "square": (lambda: T(S) @ S, S @ S),
    "a product by itself": (lambda: (q := T(S) @ S) @ q, S @ S @ S @ S),
    "one operand twice": (lambda: (s := T(S)) @ s, S @ S),
    "by its transpose": (lambda: (s := T(S)) @ ch10.transpose(s), S @ S.T),
    "transposed": (lambda: ch10.transpose(T(A) @ B), P.T),
    "chain": (lambda: T(A) @ B @ B.T.copy() @ S, A @ B @ B.T @ S),
    "long epilogue": (
        lambda: ch10.relu(ch10.relu(T(A) @ B + C) * C + B[0]) * C,
        np.maximum(np.maximum(P + C, 0) * C + B[0], 0) * C,
    ),
    "a transposed right factor": (lambda: T(A) @ ch10.transpose(B.T.copy()), P),
    "no product": (lambda: ch10.relu(T(A) + A), np.maximum(A + A, 0)),
}  # fmt: skip


@EVERY_RUNG
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name, pipeline):
    make, exact = EXPRESSIONS[name]
    assert np.allclose(ch10.forward(make(), pipeline), exact, atol=2e-3, rtol=1e-4)


def test_numpy_is_the_last_rung():
    t = T(A) @ B
    assert same_bits(t.numpy(), ch10.forward(t)) and same_bits(
        t.numpy(), ch10.forward(t, pipeline="optimized")
    )


# --- forward --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["forward", "ir", "stages", "llvm_ir", "assembly"])
def test_an_unknown_pipeline(function):
    known = ", ".join(map(repr, ch10.PIPELINES))
    with pytest.raises(ValueError) as caught:
        getattr(ch10, function)(T(A), pipeline="fast")
    assert str(caught.value) == f"pipeline: expected one of {known}, got 'fast'"


def test_wrong_arguments():
    with pytest.raises(TypeError, match="tensor: expected a Tensor or a NumPy array of float32, got int"):
        ch10.forward(1)
    with pytest.raises(ValueError, match=r"b: expected shape \(32, any\), got \(16, 64\)"):
        ch10.matmul(A, C)


@pytest.fixture
def empty_cache():
    ch10.clear_cache()
    yield
    ch10.clear_cache()


def test_a_rung_compiles_a_structure_once(empty_cache):
    assert ch10.cache_info()[:4] == (0, 0, 0.0, 0)
    for _ in range(3):
        for pipeline in ("baseline", "optimized"):
            product(A, B, pipeline)
    info = ch10.cache_info()
    assert (info.hits, info.misses, info.size) == (4, 2, 2) and info.compile_seconds > 0
    assert info.capacity >= 2 * 64  # 64 structures for each rung and machine that was asked for
    ch10.clear_cache()
    assert ch10.cache_info()[:4] == (0, 0, 0.0, 0)


def test_results_are_fresh():
    first, second = product(A, B), product(A, B)
    assert not np.shares_memory(first, second)
    first[:] = 0
    assert np.array_equal(second, product(A, B))


def test_eight_threads(empty_cache):
    a, b = draw(45, 70), draw(70, 90)
    expected = {p: product(a, b, p) for p in ch10.PIPELINES}
    ch10.clear_cache()
    ready, wrong = threading.Barrier(8), []

    def work(i):
        ready.wait()
        for pipeline in (*ch10.PIPELINES[i % 3 :], *ch10.PIPELINES):
            if not same_bits(product(a, b, pipeline), expected[pipeline]):
                wrong.append(pipeline)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert ch10.cache_info().misses == len(ch10.PIPELINES)


def test_other_threads_run_while_one_computes():
    a = draw(256, 256)
    t = T(a) @ a
    assert ticks_during(lambda: ch10.forward(t, "baseline")) > 5


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch10
        a, b, c = (np.ones(s, np.float32) for s in [(13, 40), (40, 50), 50])
        def calls(n):
            for i in range(n):
                ch10.forward(ch10.relu(ch10.Tensor(a) @ b + c), ch10.PIPELINES[i % len(ch10.PIPELINES)])
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 2048


def test_names():
    assert ch10 is ch10_optimization
    assert issubclass(ch10.CompileError, RuntimeError)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
