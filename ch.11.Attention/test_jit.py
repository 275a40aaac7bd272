"""What chapter 11 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree

import ch11
import ch11_attention
from ch11_testing import M, draw


def numpy_softmax(x):
    x = x.astype(np.float64)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# --- attention ---------------------------------------------------------------------------------------


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


def test_no_keys_give_zeros():
    result = ch11.attention(draw(3, 8), draw(0, 8), draw(0, 6), 2).numpy()
    assert np.array_equal(result, np.zeros((3, 6)))
    assert np.array_equal(ch11.attention_reference(draw(3, 8), draw(0, 8), draw(0, 6), 2), result)


# --- the other ops -----------------------------------------------------------------------------------


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


def test_exp_is_right_to_three_units_in_the_last_place():
    # softmax of [x, 0] is exp(x) / (1 + exp(x)); below -40 the divisor rounds to 1, so it is exp itself.
    x = np.linspace(-80, -40, 100_001, dtype=np.float32)
    result = ch11.softmax(np.stack([x, np.zeros_like(x)], axis=1)).numpy()[:, 0]
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(result - exact) <= 3 * np.spacing(exact.astype(np.float32))).all()


# --- Tensor and forward ------------------------------------------------------------------------------


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


# --- the errors --------------------------------------------------------------------------------------


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


# --- names -------------------------------------------------------------------------------------------


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
