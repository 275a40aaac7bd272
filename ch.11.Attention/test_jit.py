"""What chapter 11 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import re
import runpy
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import ticks_during

import ch11
import ch11_attention

HERE = pathlib.Path(__file__).resolve().parent
PASSES = [
    "ch11-decompose",
    "ch11-to-linalg",
    "ch11-matmul-loop-order",
    "ch11-approximate-math",
    "canonicalize",
    "eliminate-empty-tensors",
    "one-shot-bufferize",
]


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def torch_attention(q, k, v, num_heads=1, causal=False):
    """PyTorch's attention in float64, heads split by its own reshape."""

    def heads(a):
        return torch.from_numpy(a.astype(np.float64)).reshape(len(a), num_heads, -1).transpose(0, 1)

    out = torch.nn.functional.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=causal)
    return out.transpose(0, 1).reshape(len(q), -1).numpy()


def numpy_softmax(x):
    x = x.astype(np.float64)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def assert_attention(result, q, k, v, *args):
    """A result is a mean of values, so its error is counted in units of the largest value. The scores here
    stay below 10 and are off by a few roundings of 2^-24 each; through exp that is a relative error of the
    weights. 16 roundings per unit of score covers the longest sums of these tests with room."""
    expected = torch_attention(q, k, v, *args)
    assert isinstance(result, np.ndarray) and result.dtype == np.float32 and result.shape == expected.shape
    bound = 160 * 2.0**-24 * max(1.0, np.abs(v).max(initial=0))
    assert np.abs(result - expected).max(initial=0) <= bound


# --- attention ------------------------------------------------------------------------------------------

SHAPES = [  # T, S, D, E, heads, causal
    (1, 1, 1, 1, 1, False),
    (5, 5, 8, 8, 1, True),
    (5, 5, 8, 8, 2, True),
    (7, 3, 12, 6, 3, False),
    (1, 19, 24, 24, 4, False),
    (33, 65, 40, 24, 8, False),
    (64, 64, 32, 32, 32, True),
    (2, 2, 96, 96, 12, True),
]


@pytest.mark.parametrize("T, S, D, E, heads, causal", SHAPES)
def test_attention_is_pytorchs(T, S, D, E, heads, causal):
    q, k, v = draw(T, D), draw(S, D, seed=1), draw(S, E, seed=2)
    assert_attention(ch11.attention(q, k, v, heads, causal).numpy(), q, k, v, heads, causal)


@pytest.mark.parametrize("T, S, D, E, heads, causal", SHAPES)
def test_reference_is_pytorchs(T, S, D, E, heads, causal):
    q, k, v = draw(T, D), draw(S, D, seed=1), draw(S, E, seed=2)
    result = ch11.attention_reference(q, k, v, heads, causal)
    # Sums in double: only the last rounding is float32's.
    assert np.allclose(result, torch_attention(q, k, v, heads, causal), rtol=2.0**-23, atol=1e-7)


@settings(deadline=None, max_examples=12)
@given(st.data())
def test_attention_is_the_reference_for_any_shape(data):
    heads = data.draw(st.integers(1, 5), label="heads")
    D, E = (heads * data.draw(st.integers(1, 9), label=name) for name in "DE")
    S = data.draw(st.integers(0, 20), label="S")
    causal = data.draw(st.booleans(), label="causal")
    T = S if causal else data.draw(st.integers(0, 20), label="T")
    q, k, v = draw(T, D), draw(S, D, seed=1), draw(S, E, seed=2)
    result = ch11.attention(q, k, v, num_heads=heads, causal=causal).numpy()
    assert np.allclose(result, ch11.attention_reference(q, k, v, heads, causal), rtol=0, atol=1e-5)


def test_a_head_sees_its_columns_only():
    q, k, v = draw(6, 12), draw(9, 12, seed=1), draw(9, 8, seed=2)
    whole = ch11.attention(q, k, v, num_heads=4).numpy()
    for h in range(4):
        dq, de = slice(3 * h, 3 * h + 3), slice(2 * h, 2 * h + 2)
        alone = ch11.attention(q[:, dq], k[:, dq], v[:, de]).numpy()
        assert np.array_equal(whole[:, de], alone)  # the same sums in the same order: equal bits


def test_causal_rows_do_not_see_what_comes_later():
    q, k, v = draw(9, 8), draw(9, 8, seed=1), draw(9, 8, seed=2)
    before = ch11.attention(q, k, v, 2, causal=True).numpy()
    k[5:], v[5:] = 1e6, np.nan
    after = ch11.attention(q, k, v, 2, causal=True).numpy()
    # A weight of 0 times NaN is NaN: only rows that see no NaN at all could be compared bit by bit, so the
    # values stay finite for this check and the NaN is looked for where it belongs.
    assert np.isnan(after[5:]).all()
    k[5:], v[5:] = 1e6, -1e6
    after = ch11.attention(q, k, v, 2, causal=True).numpy()
    assert np.array_equal(before[:5], after[:5]) and not np.array_equal(before[5:], after[5:])


def test_scores_that_would_overflow_exp():
    q = 30 * draw(4, 8)  # scores of some hundreds: exp(score) is inf
    assert_attention(ch11.attention(q, q, q).numpy(), q, q, q)


def test_no_keys_give_zeros():
    result = ch11.attention(draw(3, 8), draw(0, 8), draw(0, 6), 2).numpy()
    assert np.array_equal(result, np.zeros((3, 6)))
    assert np.array_equal(ch11.attention_reference(draw(3, 8), draw(0, 8), draw(0, 6), 2), result)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_nan_and_infinity_go_where_they_go_in_pytorch(bad, where):
    arrays = [draw(4, 6), draw(5, 6, seed=1), draw(5, 6, seed=2)]
    arrays[where][2, 1] = bad
    with np.errstate(all="ignore"):
        expected = torch_attention(*arrays, 3)
    result = ch11.attention(*arrays, num_heads=3).numpy()
    assert np.allclose(result, expected, atol=1e-5, equal_nan=True)


# --- the other ops --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (0,), (0, 4), (4, 0), (2, 0, 3)])
def test_elementwise_ops(shape):
    a, b = draw(*shape), draw(*shape, seed=1)
    # One rounding each, so equal to the last bit.
    assert np.array_equal(ch11.add(a, b).numpy(), a + b)
    assert np.array_equal(ch11.mul(a, b).numpy(), a * b)
    assert np.array_equal(ch11.scale(a, 0.3).numpy(), a * np.float32(0.3))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (0, 4)])
def test_a_vector_is_laid_over_every_row(shape):
    a, b = draw(*shape), draw(shape[-1], seed=1)
    assert np.array_equal(ch11.add(a, b).numpy(), a + b)
    assert np.array_equal(ch11.mul(a, b).numpy(), a * b)


@pytest.mark.parametrize(
    "a, b", [((3, 5), (5, 7)), ((1, 1), (1, 1)), ((2, 3, 4), (2, 4, 5)), ((3, 0), (0, 4)), ((0, 3), (3, 2))]
)
def test_matmul(a, b):
    a, b = draw(*a), draw(*b, seed=1)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = (a.shape[-1] + 1) * 2.0**-24 * (np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64))
    assert (np.abs(ch11.matmul(a, b).numpy() - exact) <= bound).all()


@pytest.mark.parametrize("shape", [(3, 5), (1, 4), (0, 3), (2, 3, 4)])
def test_transpose_swaps_the_last_two_axes(shape):
    t = draw(*shape)
    assert np.array_equal(ch11.transpose(t).numpy(), np.swapaxes(t, -1, -2))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (0, 4), (4, 0), (1, 1), (5, 1000)])
def test_softmax(shape):
    t = 5 * draw(*shape)
    # exp is off by 2 units in the last place, a sum of n terms by n roundings at most (far fewer in fact).
    assert np.allclose(ch11.softmax(t).numpy(), numpy_softmax(t) if t.size else t, rtol=2e-5, atol=1e-30)


def test_softmax_of_special_values():
    inf, nan = np.inf, np.nan
    rows = [[0, -inf, 1], [-inf] * 3, [inf, 0, 0], [nan, 0, 0], [1e38, -1e38, 0], [-200, -201, -200]]
    t = np.array(rows, np.float32)
    with np.errstate(all="ignore"):
        expected = torch.softmax(torch.from_numpy(t.astype(np.float64)), -1).numpy()
    result = ch11.softmax(t).numpy()
    assert np.allclose(result, expected, atol=1e-7, equal_nan=True)
    assert result[0, 1] == 0  # exactly: a masked key has no weight


def test_exp_is_right_to_three_units_in_the_last_place():
    # softmax of [x, 0] is exp(x) / (1 + exp(x)); below -40 the divisor rounds to 1, so it is exp itself.
    x = np.linspace(-80, -40, 100_001, dtype=np.float32)
    result = ch11.softmax(np.stack([x, np.zeros_like(x)], axis=1)).numpy()[:, 0]
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(result - exact) <= 3 * np.spacing(exact.astype(np.float32))).all()


# --- Tensor and forward ---------------------------------------------------------------------------------


def test_operators():
    a, b, c = draw(3, 4), draw(4, 5, seed=1), draw(3, 5, seed=2)
    x = ch11.Tensor(a) @ ch11.Tensor(b) + ch11.Tensor(c) * ch11.Tensor(c)
    assert x.shape == (3, 5)
    assert np.allclose(x.numpy(), a @ b + c * c, atol=1e-5)
    assert np.array_equal(ch11.forward(x), x.numpy())
    mixed = a @ ch11.Tensor(b) + c  # NumPy leaves the operators to Tensor
    assert isinstance(mixed, ch11.Tensor)
    assert np.allclose(mixed.numpy(), a @ b + c, atol=1e-5)
    assert np.array_equal((2 * ch11.Tensor(c) * 0.5).numpy(), c)


def test_results_are_fresh_and_inputs_stay_as_they_are():
    a = draw(3, 4)
    kept, t = a.copy(), ch11.Tensor(a)
    first, second = ch11.forward(t), t.numpy()
    assert not np.shares_memory(first, a) and not np.shares_memory(first, second)
    first[:] = 0
    assert np.array_equal(second, kept) and np.array_equal(a, kept)
    y = ch11.softmax(ch11.add(ch11.add(t, t), t))  # room for computing in place, if it were allowed
    y.numpy()
    assert np.array_equal(a, kept)


def views():
    base = draw(12, 16)
    raw = np.zeros(4 * 6 * 8 + 1, np.uint8)
    unaligned = np.frombuffer(raw.data, np.float32, offset=1).reshape(6, 8)
    readonly = draw(6, 8)
    readonly.flags.writeable = False
    return {
        "steps": base[::2, ::2],
        "reversed": base[:6, :8][::-1, ::-1],
        "transposed": draw(8, 6).T,
        "repeated": np.broadcast_to(draw(8), (6, 8)),
        "unaligned": unaligned,
        "read only": readonly,
    }


@pytest.mark.parametrize("name", views())
def test_any_strides(name):
    a = views()[name]
    kept = a.copy()
    assert np.array_equal(ch11.add(a, a).numpy(), kept + kept)
    result = ch11.attention(a, a, a, 2, causal=True).numpy()
    assert np.array_equal(result, ch11.attention(kept, kept, kept, 2, causal=True).numpy())
    assert np.array_equal(ch11.attention_reference(a, a, a), ch11.attention_reference(kept, kept, kept))
    assert np.array_equal(a, kept)


# --- the errors -----------------------------------------------------------------------------------------

M = draw(3, 4)


@pytest.mark.parametrize(
    "call, error, sentence",
    [
        (
            lambda: ch11.Tensor([1.0]),
            TypeError,
            "array: expected a Tensor or a NumPy array of float32, got list",
        ),
        (
            lambda: ch11.Tensor(np.zeros(3)),
            TypeError,
            "array: expected an array of float32, got one of float64",
        ),
        (
            lambda: ch11.add(M, M.astype(np.int32)),
            TypeError,
            "b: expected an array of float32, got one of int32",
        ),
        (lambda: ch11.Tensor(M) + 1, TypeError, "b: expected a Tensor or a NumPy array of float32, got int"),
        (
            lambda: ch11.forward(None),
            TypeError,
            "tensor: expected a Tensor or a NumPy array of float32, got NoneType",
        ),
        (
            lambda: ch11.Tensor(np.array(1, np.float32)),
            ValueError,
            "array: expected rank 1 to 3, got shape ()",
        ),
        (
            lambda: ch11.Tensor(draw(1, 1, 1, 1)),
            ValueError,
            "array: expected rank 1 to 3, got shape (1, 1, 1, 1)",
        ),
        (
            lambda: ch11.add(M, draw(3)),
            ValueError,
            "b: expected shape (3, 4) as a's, or (4,) for every row, got (3,)",
        ),
        (lambda: ch11.matmul(draw(3), M), ValueError, "a: expected rank 2 or 3, got shape (3,)"),
        (lambda: ch11.matmul(M, M), ValueError, "b: expected shape (4, any), got (3, 4)"),
        (lambda: ch11.Tensor(M) @ draw(4), ValueError, "b: expected shape (4, any), got (4,)"),
        (
            lambda: ch11.matmul(draw(2, 3, 4), draw(3, 4, 5)),
            ValueError,
            "b: expected shape (2, 4, any), got (3, 4, 5)",
        ),
        (lambda: ch11.transpose(draw(3)), ValueError, "t: expected rank 2 or 3, got shape (3,)"),
        (
            lambda: ch11.attention(draw(2, 3, 4), M, M),
            ValueError,
            "q: expected shape (any, any), got (2, 3, 4)",
        ),
        (lambda: ch11.attention(M, draw(3, 5), M), ValueError, "k: expected shape (any, 4), got (3, 5)"),
        (lambda: ch11.attention(M, M, draw(2, 4)), ValueError, "v: expected shape (3, any), got (2, 4)"),
        (
            lambda: ch11.attention(M, draw(2, 4), draw(2, 4), causal=True),
            ValueError,
            "k: expected shape (3, 4), got (2, 4)",
        ),
        (
            lambda: ch11.attention(M, M, M, 3),
            ValueError,
            "num_heads: expected a divisor of the columns of q, 4, got 3",
        ),
        (
            lambda: ch11.attention(M, M, draw(3, 3), 2),
            ValueError,
            "num_heads: expected a divisor of the columns of v, 3, got 2",
        ),
        (lambda: ch11.attention(M, M, M, 0), ValueError, "num_heads: expected at least 1, got 0"),
        (lambda: ch11.attention(M, M, M, -2), ValueError, "num_heads: expected at least 1, got -2"),
        (
            lambda: ch11.attention(draw(2, 0), draw(2, 0), M[:2]),
            ValueError,
            "num_heads: expected a divisor of the columns of q, 0, got 1",
        ),
        (
            lambda: ch11.attention_reference(M, M, M, 3),
            ValueError,
            "num_heads: expected a divisor of the columns of q, 4, got 3",
        ),
        (
            lambda: ch11.attention(*[np.broadcast_to(draw(1), (10**5, 1))] * 3),
            ValueError,
            "attention: the scores would have shape (1, 100000, 100000), more than 2147483648 elements",
        ),
    ],
)
def test_error_sentences(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_a_number_of_the_wrong_kind():
    for call in (lambda: ch11.attention(M, M, M, 1.5), lambda: ch11.scale(M, "2")):
        with pytest.raises(TypeError):
            call()


def test_compile_error_is_a_runtime_error():
    assert issubclass(ch11.CompileError, RuntimeError)


# --- compiled once for each structure -------------------------------------------------------------------


@pytest.fixture
def empty_cache():
    ch11.clear_cache()
    yield
    ch11.clear_cache()


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


# --- the IR ---------------------------------------------------------------------------------------------


def test_ir():
    q = ch11.Tensor(draw(9, 32))
    chapters.filecheck(
        ch11.ir(ch11.softmax(ch11.attention(q, q, draw(9, 16), 4, causal=True))),
        """
        CHECK:      func.func @forward(
        CHECK-SAME:   %[[Q:.*]]: tensor<9x32xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[V:.*]]: tensor<9x16xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[OUT:.*]]: memref<9x16xf32>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-NEXT:   %[[A:.*]] = transformer.attention %[[Q]], %[[Q]], %[[V]] heads 4 causal
        CHECK-NEXT:   %[[S:.*]] = transformer.softmax %[[A]] : tensor<9x16xf32>
        CHECK-NEXT:   bufferization.materialize_in_destination %[[S]] in restrict writable %[[OUT]]
        CHECK-NEXT:   return
        """,
    )


def test_stages():
    q = draw(9, 32)
    t = ch11.attention(q, q, q, 4)
    stages = ch11.stages(t)
    names = [name for name, _ in stages]
    assert stages[0] == ("input", ch11.ir(t))
    assert names[1 : len(PASSES) + 1] == PASSES
    assert names[-1] == "reconcile-unrealized-casts"
    ir = dict(stages)
    assert "transformer.attention" not in ir["ch11-decompose"] and "transformer." not in ir["ch11-to-linalg"]
    # Every op of the result belongs to the llvm dialect.
    ops = re.findall(r"^\s*(?:%\S+(?:, %\S+)* = )?\"?([a-z_]+)\.", stages[-1][1], re.M)
    assert set(ops) == {"llvm"}


def test_every_pass_is_known_to_the_tool():
    passes = [name for name, _ in ch11.stages(ch11.softmax(M))[1:]]
    done = subprocess.run(["ch11-opt", "--help"], env=chapters.environment(), capture_output=True, text=True)
    known = set(re.findall(r"^\s+--([\w-]+)", done.stdout, re.M))
    assert set(passes) <= known


def test_products_and_exp_become_vectors():
    assert re.search(r"fmul <\d+ x float>", ch11.llvm_ir(ch11.matmul(draw(32, 64), draw(64, 128))))
    ir = ch11.llvm_ir(ch11.softmax(draw(8, 256)))
    assert re.search(r"call <\d+ x float> @llvm\.fma", ir) and "expf" not in ir


def test_equal_kernels_are_one_function():
    def kernels(products):
        x = ch11.Tensor(draw(8, 8))
        for _ in range(products):
            x = x @ draw(8, 8)
        return len(re.findall(r"func private @kernel", dict(ch11.stages(x))["ch11-outline-kernels"]))

    # The last product writes to the output, but through the same types: the same kernels.
    assert kernels(2) == kernels(9) == 2  # fill and product


def test_assembly():
    text = ch11.assembly(ch11.matmul(M, draw(4, 5)))
    assert "forward:" in text and "ret" in text


def test_kernels_stay_functions():
    """LLVM would inline a function that is called once, and all loops would be in one function again."""
    ir = ch11.llvm_ir(ch11.softmax(M))
    assert len(re.findall(r"call .*@kernel_", ir)) == 6  # two fills, maximum, exp, sum, quotient


def test_a_long_expression_compiles_in_reasonable_time(empty_cache):
    x = ch11.Tensor(np.ones(4, np.float32))
    t = x
    for _ in range(300):
        t = t + x
    assert np.array_equal(t.numpy(), np.full(4, 301, np.float32))
    # About a second. With the loops in one function, or CSE before bufferization, it would be minutes.
    assert ch11.cache_info().compile_seconds < 30


# --- the lesson ---------------------------------------------------------------------------------------------


def run_script(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=chapters.environment(), capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    "case, sentence",
    [
        ("heads", "ValueError: num_heads: expected a divisor of the columns of q, 32, got 5"),
        ("kind", "TypeError: t: expected a Tensor or a NumPy array of float32, got list"),
        (
            "ir",
            "attention.mlir:3:10: error: 'transformer.attention' op expected as many columns in k as in q, "
            "32, got 24",
        ),
    ],
)
def test_what_breaks(case, sentence):
    assert run_script("broken.py", case) == (0, sentence)


def test_cse_before_bufferization_is_slow():
    namespace = runpy.run_path(str(HERE / "broken.py"))
    assert namespace["cse"](160) > 3


@pytest.mark.parametrize(
    "number, problem",
    [
        ("1", "write me"),
        ("2", "a key outside of the window has a weight"),
        ("3", "two scales in a row are still two"),
    ],
)
def test_a_stub_is_not_a_solution(number, problem):
    assert run_script("exercises/check.py", number) == (1, f"exercise {number}: not yet: {problem}")


@pytest.mark.parametrize("solution", sorted(HERE.glob("exercises/solutions/*")), ids=lambda file: file.name)
def test_a_solution_is_one(solution):
    number = solution.name[0]
    assert run_script("exercises/check.py", number, solution) == (0, f"exercise {number}: solved")


def test_names():
    assert ch11 is ch11_attention
    for name in [
        "Tensor",
        "add",
        "mul",
        "matmul",
        "transpose",
        "softmax",
        "scale",
        "attention",
        "forward",
        "attention_reference",
    ]:
        assert callable(getattr(ch11, name)) and getattr(ch11, name).__doc__
    for name in ["ir", "stages", "llvm_ir", "assembly", "cache_info", "clear_cache", "CompileError"]:
        assert callable(getattr(ch11, name))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
