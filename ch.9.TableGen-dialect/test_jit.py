"""What chapter 9 must do. Run it by pytest, or as a script: `python3 test_jit.py`.

The dialect's own tests (folders, patterns, lowering, verifiers) are tests/*.mlir; those of the ops in Python that need
the MLIR project's bindings are test_python_dialect.py.
"""

import pathlib
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import EPSILON, assert_is_product, memory_growth_kb, run_python, strided, ticks_during

import ch9
import ch9_tablegen_dialect

HERE = pathlib.Path(__file__).resolve().parent


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def numpy_softmax(x):
    x = x.astype(np.float64)
    e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


def assert_close(result, exact, roundings, scale=1.0):
    """Equal up to so many roundings of numbers of this size."""
    assert isinstance(result, np.ndarray) and result.dtype == np.float32 and result.shape == exact.shape
    assert (np.abs(result - exact) <= roundings * EPSILON * np.maximum(np.abs(exact), scale)).all()


# --- the ops --------------------------------------------------------------------------------------------

SHAPES = [(5,), (1,), (0,), (3, 4), (1, 7), (0, 3), (3, 0), (33, 65)]


@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise_ops_are_numpys(shape):
    a, b = draw(*shape), draw(*shape, seed=1)
    assert np.array_equal(ch9.add(a, b).numpy(), a + b)
    assert np.array_equal(ch9.mul(a, b).numpy(), a * b)
    assert np.array_equal(ch9.relu(a).numpy(), np.maximum(a, 0))


@pytest.mark.parametrize("shape", [s for s in SHAPES if len(s) == 2])
def test_a_vector_is_laid_over_every_row(shape):
    a, row = draw(*shape), draw(shape[1], seed=1)
    assert np.array_equal(ch9.add(a, row).numpy(), a + row)
    assert np.array_equal(ch9.mul(a, row).numpy(), a * row)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_products_of_any_shape_and_strides(data):
    M, K, N = (data.draw(st.integers(0, 9)) for _ in range(3))
    a, b = data.draw(strided((M, K))), data.draw(strided((K, N)))
    kept = a.copy(), b.copy()
    assert_is_product(ch9.matmul(a, b).numpy(), a, b)
    assert_is_product(ch9.linear(a, b.T).numpy(), a, b)
    assert np.array_equal(ch9.transpose(a).numpy(), a.T)
    assert np.array_equal(a, kept[0]) and np.array_equal(b, kept[1])


def test_linear_adds_its_bias_after_the_sum():
    x, w, b = draw(5, 8), draw(16, 8, seed=1), draw(16, seed=2)
    layer = ch9.linear(x, w, b).numpy()
    assert np.array_equal(layer, ch9.linear(x, w).numpy() + b)
    assert np.array_equal(layer, (ch9.Tensor(x) @ ch9.transpose(w) + b).numpy())


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[-1]])
def test_softmax_is_numpys(shape):
    x = 5 * draw(*shape)
    result = ch9.softmax(x).numpy()
    # exp of a difference of up to 50 that is off by one rounding, a sum of n, a quotient.
    assert_close(result, numpy_softmax(x), 60 + shape[-1], scale=0)


def test_special_values():
    inf, nan = np.float32(np.inf), np.float32(np.nan)
    assert np.array_equal(
        ch9.relu(np.array([nan, inf, -inf, -0.0], np.float32)).numpy(), [nan, inf, 0, 0], equal_nan=True
    )
    rows = np.array([[1, -inf], [-inf, -inf], [nan, 1], [88, 89]], np.float32)
    result = ch9.softmax(rows).numpy()
    assert np.array_equal(result[0], [1, 0]) and np.isnan(result[1:3]).all()
    assert np.isfinite(result[3]).all()  # exp(89) alone is +inf in float32


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_a_network_is_numpys(data):
    rows, widths = (
        data.draw(st.integers(1, 6)),
        data.draw(st.lists(st.integers(1, 12), min_size=2, max_size=5)),
    )
    x = draw(rows, widths[0])
    y, exact = ch9.Tensor(x), x.astype(np.float64)
    for i, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        w, b = draw(fan_out, fan_in, seed=i) / np.float32(fan_in**0.5), draw(fan_out, seed=i)
        y = ch9.relu(ch9.linear(y, w, b))
        exact = np.maximum(exact @ w.T.astype(np.float64) + b, 0)
    assert_close(y.numpy(), exact, 100 * len(widths), scale=np.abs(exact).max(initial=1))


# --- Tensor and forward ---------------------------------------------------------------------------------


def test_operators():
    a, b, c = draw(3, 4), draw(4, 5, seed=1), draw(3, 5, seed=2)
    x = ch9.Tensor(a) @ ch9.Tensor(b) + ch9.Tensor(c) * ch9.Tensor(c)
    assert x.shape == (3, 5) and repr(x) == "Tensor(shape=(3, 5), op=nn.add)"
    assert np.array_equal(ch9.forward(x), x.numpy())
    mixed = a @ ch9.Tensor(b) + c  # NumPy leaves the operators to Tensor, on either side
    assert isinstance(mixed, ch9.Tensor) and isinstance(c + mixed, ch9.Tensor)
    assert np.allclose(mixed.numpy(), a @ b + c, atol=1e-5)


def test_results_are_fresh_and_inputs_stay_as_they_are():
    a = draw(3, 4)
    kept, t = a.copy(), ch9.Tensor(a)
    first, second = ch9.forward(t), t.numpy()
    assert not np.shares_memory(first, a) and not np.shares_memory(first, second)
    first[:] = 0
    assert np.array_equal(second, kept) and np.array_equal(a, kept)
    ch9.relu(ch9.relu(ch9.add(t, t))).numpy()  # room for computing in place, if it were allowed
    assert np.array_equal(a, kept)


def test_an_array_is_read_when_the_result_is_computed():
    a = draw(3, 4)
    y = ch9.add(a, a)
    a[:] = 1
    assert np.array_equal(y.numpy(), np.full((3, 4), 2, np.float32))


def test_an_expression_keeps_its_arrays_alive():
    y = ch9.add(np.full((64, 64), 3, np.float32), np.ones((64, 64), np.float32))
    junk = [np.zeros((64, 64), np.float32) for _ in range(8)]
    assert len(junk) == 8 and np.array_equal(y.numpy(), np.full((64, 64), 4, np.float32))


def test_a_deep_expression_does_not_overflow_the_stack():
    run_python("""
        import numpy as np, ch9
        y = ch9.Tensor(np.zeros(2, np.float32))
        for _ in range(200_000):
            y = y + y
        del y
    """)


M = draw(3, 4)


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (lambda: ch9.Tensor([1.0]), TypeError, "array: expected a Tensor or a NumPy array of float32, got list"),
        (lambda: ch9.Tensor(np.zeros(3)), TypeError, "array: expected an array of float32, got one of float64"),
        (lambda: ch9.Tensor(M) + 1, TypeError, "b: expected a Tensor or a NumPy array of float32, got int"),
        (lambda: ch9.Tensor(M) * 2, TypeError, "b: expected a Tensor or a NumPy array of float32, got int"),
        (lambda: ch9.forward(None), TypeError, "tensor: expected a Tensor or a NumPy array of float32, got NoneType"),
        (lambda: ch9.Tensor(np.array(1, np.float32)), ValueError, "array: expected rank 1 to 3, got shape ()"),
        (lambda: ch9.relu(draw(1, 1, 1)), ValueError, "x: expected rank 1 or 2, got shape (1, 1, 1)"),
        (lambda: ch9.add(draw(1, 1, 1), draw(1)), ValueError, "a: expected rank 1 or 2, got shape (1, 1, 1)"),
        (lambda: ch9.add(M, draw(3)), ValueError, "b: expected shape (3, 4) as a's, or (4,) for every row, got (3,)"),
        (lambda: ch9.add(draw(4), M), ValueError, "b: expected shape (4,) as a's, got (3, 4)"),
        (lambda: ch9.matmul(draw(3), M), ValueError, "a: expected shape (any, any), got (3,)"),
        (lambda: ch9.matmul(M, M), ValueError, "b: expected shape (4, any), got (3, 4)"),
        (lambda: ch9.transpose(draw(3)), ValueError, "x: expected shape (any, any), got (3,)"),
        (lambda: ch9.linear(M, draw(4, 3)), ValueError, "w: expected shape (any, 4), got (4, 3)"),
        (lambda: ch9.linear(M, draw(5, 4), draw(4)), ValueError, "b: expected shape (5,), got (4,)"),
    ],
)  # fmt: skip
def test_error_sentences(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_result_that_would_be_too_large():
    column = np.broadcast_to(draw(1), (10**5, 1))
    with pytest.raises(
        ValueError, match=r"nn.matmul: the result would have shape \(100000, 100000\), more than"
    ):
        ch9.matmul(column, column.T)


# --- compiled once for each structure -------------------------------------------------------------------


@pytest.fixture
def empty_cache():
    ch9.clear_cache()
    yield
    ch9.clear_cache()


def test_a_structure_is_compiled_once(empty_cache):
    assert ch9.cache_info()[:3] == (0, 0, 0.0)
    for seed in range(5):
        a = draw(3, 4, seed=seed)
        ch9.forward(ch9.softmax(ch9.add(a, a)))
    info = ch9.cache_info()
    assert (info.misses, info.hits, info.size) == (1, 4, 1) and info.compile_seconds > 0
    # Strides are the arrays' matter, not the structure's.
    ch9.forward(ch9.softmax(ch9.add(draw(4, 3).T, a[::-1])))
    assert ch9.cache_info()[:2] == (5, 1)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ch9.relu(draw(4, 3)),
        lambda: ch9.relu(draw(12)),
        lambda: ch9.softmax(draw(3, 4)),
        lambda: ch9.relu(ch9.relu(draw(3, 4))),
    ],
)
def test_another_structure_is_another_program(other, empty_cache):
    ch9.forward(ch9.relu(draw(3, 4)))
    ch9.forward(other())
    assert ch9.cache_info()[:2] == (0, 2)


def test_sharing_is_part_of_the_structure(empty_cache):
    a = ch9.Tensor(draw(3, 4))
    s, t = ch9.softmax(a), ch9.softmax(a)
    assert np.array_equal(ch9.forward(s + s), ch9.forward(s + t))
    assert ch9.cache_info().misses == 2
    assert ch9.ir(s + s).count("nn.softmax") == 1
    assert ch9.ir(s + t).count("nn.softmax") == 2


def test_who_is_used_where_is_part_of_the_structure(empty_cache):
    a, b = draw(3, 4), draw(3, 4, seed=1)
    x, y = ch9.Tensor(a), ch9.Tensor(b)
    # Equal but for one operand of the last op.
    assert np.array_equal(ch9.forward((x + y) * x), (a + b) * a)
    assert np.array_equal(ch9.forward((x + y) * y), (a + b) * b)
    assert ch9.cache_info().misses == 2


def test_eight_threads_compile_one_structure_once(empty_cache):
    x, w = draw(9, 8), draw(7, 8, seed=1)
    ready, results = threading.Barrier(8), [None] * 8

    def work(i):
        ready.wait()
        results[i] = ch9.softmax(ch9.linear(x, w)).numpy()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert ch9.cache_info()[:2] == (7, 1)
    assert all(np.array_equal(r, results[0]) for r in results)


def test_other_threads_run_while_one_computes_or_compiles():
    a = draw(256, 256)
    product = ch9.Tensor(a) @ a
    assert ticks_during(lambda: ch9.forward(product)) > 20
    assert ticks_during(lambda: ch9.stages(product)) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = memory_growth_kb(
        """
        import ch9
        x, w = np.ones((5, 8), np.float32), np.ones((7, 8), np.float32)
        """,
        """
        ch9.forward(ch9.softmax(ch9.relu(ch9.linear(x, w))))
        """,
    )
    assert growth_kb < 2048


# --- the IR ---------------------------------------------------------------------------------------------


def layer():
    x, w, b = draw(5, 8), draw(16, 8), draw(16)
    return ch9.relu(ch9.Tensor(x) @ ch9.transpose(w) + b)


def test_ir_has_one_op_for_each_call():
    chapters.filecheck(
        ch9.ir(layer()),
        """
        CHECK: func.func @forward(%[[X:.+]]: tensor<5x8xf32> {{.+}}, %[[W:.+]]: tensor<16x8xf32> {{[^,]+}},
        CHECK-SAME: %[[B:.+]]: tensor<16xf32> {{.+}}, %[[OUT:.+]]: memref<5x16xf32>)
        CHECK-NEXT: %[[T:.+]] = nn.transpose %[[W]]
        CHECK-NEXT: %[[P:.+]] = nn.matmul %[[X]], %[[T]]
        CHECK-NEXT: %[[S:.+]] = nn.add %[[P]], %[[B]]
        CHECK-NEXT: %[[R:.+]] = nn.relu %[[S]]
        CHECK-NEXT: bufferization.materialize_in_destination %[[R]] in restrict writable %[[OUT]]
        CHECK-NEXT: return
        """,
    )


def test_stages():
    stages = ch9.stages(layer())
    assert stages[0] == ("input", ch9.ir(layer()))
    names = [name for name, _ in stages]
    assert names[1:5] == ["canonicalize", "ch9-to-linalg", "eliminate-empty-tensors", "one-shot-bufferize"]
    after = dict(stages[:5])
    assert (
        "nn.linear %arg0, %arg1, %arg2" in after["canonicalize"]
        and "nn.transpose" not in after["canonicalize"]
    )
    assert "nn." not in after["ch9-to-linalg"] and "linalg.generic" in after["ch9-to-linalg"]
    last = [line.split()[0] for line in stages[-1][1].splitlines() if "llvm.func" in line]
    assert last and "memref" not in stages[-1][1]
    assert "define" in ch9.llvm_ir(layer()) and "forward" in ch9.assembly(layer())


def test_every_pass_is_known_to_the_tool():
    passes = ["--ch9-pipeline", *(f"--{name}" for name, _ in ch9.stages(layer())[1:])]
    for one in passes:
        done = subprocess.run(
            ["ch9-opt", one, "-"],
            input="module {}",
            env=chapters.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (one, done.stderr)


# --- the lesson -----------------------------------------------------------------------------------------


BROKEN = {
    "shape": "ValueError: w: expected shape (any, 8), got (8, 16)",
    "parse": "error: expected ','",
    "verifier": "'nn.linear' op expected as many columns in weight as in input, 8, got 16",
    "pattern": "unregistered operation 'nn.gelu' found in dialect ('nn')",
}


@pytest.mark.parametrize("case, sentence", BROKEN.items())
def test_what_breaks(case, sentence):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and sentence in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, status",
    [(["1"], 1), (["2"], 1), (["3"], 1), (["3", "exercises/solutions/3_two_layers.py"], 0), (["4"], 2)],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet; what solves 1 and 2 is in the next test."""
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize("patch", sorted(HERE.glob("exercises/solutions/*.diff")), ids=lambda p: p.stem)
def test_a_solution_still_fits_the_source(patch, tmp_path):
    """Both were built and checked; here: that they still apply, by `patch -p1 < FILE` in the chapter's folder."""
    for folder in ("src", "inc"):
        shutil.copytree(HERE / folder, tmp_path / folder)
    done = subprocess.run(
        ["git", "apply", "--unsafe-paths", str(patch)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert any(
        (tmp_path / f).read_text() != (HERE / f).read_text()
        for f in ("src/canonicalize.cpp", "inc/ch9/NNOps.td")
    )


def test_names():
    assert ch9 is ch9_tablegen_dialect
    assert issubclass(ch9.CompileError, RuntimeError)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
