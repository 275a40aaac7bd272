"""gpt_forward_prefill and gpt_forward_decode: ch.13's gpt_forward, in parts."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

import ch13_gpt
import ch14_gpt_optimized as gpt

# float32 against float32; a token's products are summed in another order beside other rows.
RELATIVE_ERROR = 2e-5


def draw(*shape, seed=0, size=1.0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * size).astype(np.float32)


def model(layers, vocabulary=23, width=12, inner=20):
    """table, weights, final_gamma, final_beta"""
    weights = []
    for layer in range(layers):
        for i in range(4):
            weights += [draw(width, width, seed=9 * layer + i, size=width**-0.5), draw(width, seed=layer + i)]
        weights += [draw(inner, width, seed=layer, size=width**-0.5), draw(inner, seed=layer)]
        weights += [draw(width, inner, seed=layer, size=inner**-0.5), draw(width, seed=layer + 4)]
        weights += [1 + draw(width, seed=layer + i, size=0.1) for i in range(4)]
    return draw(vocabulary, width), weights, 1 + draw(width, seed=7, size=0.1), draw(width, seed=8)


def close(ours, theirs):
    assert ours.dtype == np.float32 and ours.shape == theirs.shape
    return np.abs(ours - theirs).max(initial=0) <= RELATIVE_ERROR * np.abs(theirs).max(initial=1e-30)


def ids_of(length, vocabulary=23):
    return np.random.default_rng(length).integers(0, vocabulary, length).astype(np.int32)


@pytest.mark.parametrize(("layers", "heads", "parts"), [(2, 3, [5, 1, 3]), (1, 1, [1, 4]), (1, 6, [6, 1])])
def test_parts_of_a_sequence_are_the_whole(layers, heads, parts):
    weights = model(layers)
    ids = ids_of(sum(parts))
    whole = ch13_gpt.gpt_forward(ids, *weights, num_heads=heads).numpy()
    everything = gpt.gpt_forward_prefill(ids, *weights, num_heads=heads)
    assert close(everything.hidden_states, whole)

    result = gpt.gpt_forward_prefill(ids[: parts[0]], *weights, num_heads=heads)
    hidden, end = [result.hidden_states], parts[0]
    for count in parts[1:]:
        past_k, past_v = result.k_caches.copy(), result.v_caches.copy()
        for past in (past_k, past_v):
            past.flags.writeable = False
        result = gpt.gpt_forward_decode(ids[end : end + count], *weights, past_k, past_v, num_heads=heads)
        end += count
        hidden.append(result.hidden_states)
        assert result.hidden_states.shape == (count, 12) and result.k_caches.shape == (layers, end, 12)
        # The past is passed on as it came, bit by bit.
        np.testing.assert_array_equal(result.k_caches[:, :-count], past_k)
        np.testing.assert_array_equal(result.v_caches[:, :-count], past_v)
    assert close(np.concatenate(hidden), whole)
    assert close(result.k_caches, everything.k_caches) and close(result.v_caches, everything.v_caches)


def test_the_past_may_be_a_list_and_have_any_strides():
    weights = model(2)
    ids = ids_of(6)
    first = gpt.gpt_forward_prefill(ids[:5], *weights, num_heads=2)
    expected = gpt.gpt_forward_decode(ids[5:], *weights, first.k_caches, first.v_caches, num_heads=2)
    found = gpt.gpt_forward_decode(
        ids[5:],
        *weights,
        [np.asfortranarray(k) for k in first.k_caches],
        first.v_caches[:, ::-1][:, ::-1],
        num_heads=2,
    )
    for a, b in zip(found, expected):
        np.testing.assert_array_equal(a, b)


def test_each_length_is_compiled_once():
    """What the paged step does away with."""
    weights = model(1)
    ids = ids_of(9)
    result = gpt.gpt_forward_prefill(ids[:3], *weights)
    before = gpt.cache_info()
    for _ in range(2):
        grown = result
        for t in range(3, 6):
            grown = gpt.gpt_forward_decode(ids[t : t + 1], *weights, grown.k_caches, grown.v_caches)
    after = gpt.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (3, 3)


def decode_with(**changes):
    table, weights, gamma, beta = model(2)
    arguments = {
        "ids": ids_of(1),
        "table": table,
        "weights": weights,
        "final_gamma": gamma,
        "final_beta": beta,
        "past_k": draw(2, 4, 12),
        "past_v": draw(2, 4, 12, seed=1),
        "num_heads": 2,
    }
    return gpt.gpt_forward_decode(**arguments | changes)


def test_the_decode_that_is_changed_below_is_right():
    assert decode_with().k_caches.shape == (2, 5, 12)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"ids": np.array([23], np.int32)}, ValueError, "ids: expected ids from 0 to 22"),
        ({"ids": np.array([1])}, TypeError, "ids: expected an array of int32, got one of int64"),
        ({"past_k": draw(1, 4, 12)}, ValueError, "past_k: expected 2 layers, got 1"),
        ({"past_v": draw(2, 3, 12)}, ValueError, r"past_v\[0\]: expected shape \(4, 12\), got \(3, 12\)"),
        ({"past_k": draw(2, 4, 11)}, ValueError, r"past_k\[0\]: expected shape \(any, 12\), got \(4, 11\)"),
        ({"past_k": [draw(4, 12), draw(3, 12)]}, ValueError, r"past_k\[1\]: expected shape \(4, 12\)"),
        (
            {"past_k": draw(2, 4, 12).astype(np.float64)},
            TypeError,
            r"past_k\[0\]: expected an array of float32",
        ),
        ({"past_v": None}, TypeError, "past_v: expected an array or a list of arrays, got NoneType"),
        ({"weights": []}, ValueError, "weights: expected at least one layer, got none"),
        ({"weights": model(2)[1][:-1]}, ValueError, "weights: expected 16 arrays for each layer, got 31"),
        ({"num_heads": 5}, ValueError, "num_heads = 5"),
        ({"table": draw(12)}, ValueError, r"table: expected shape \(any, any\), got \(12,\)"),
        ({"final_beta": draw(11)}, ValueError, r"final_beta: expected shape \(12,\), got \(11,\)"),
    ],
)
def test_wrong_arguments(changes, error, message):
    with pytest.raises(error, match=message):
        decode_with(**changes)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
