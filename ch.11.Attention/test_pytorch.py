"""Attention and softmax against PyTorch in float64, special values included."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import torch

import chapters  # finds the build tree

import ch11
from ch11_testing import draw


def torch_attention(q, k, v, num_heads=1, causal=False):
    """PyTorch's attention in float64, heads split by its own reshape."""

    def heads(a):
        return torch.from_numpy(a.astype(np.float64)).reshape(len(a), num_heads, -1).transpose(0, 1)

    out = torch.nn.functional.scaled_dot_product_attention(heads(q), heads(k), heads(v), is_causal=causal)
    return out.transpose(0, 1).reshape(len(q), -1).numpy()


def assert_attention(result, q, k, v, *args):
    """A result is a mean of values, so its error is counted in units of the largest value. The scores here
    stay below 10 and are off by a few roundings of 2^-24 each; through exp that is a relative error of the
    weights. 16 roundings per unit of score covers the longest sums of these tests with room."""
    expected = torch_attention(q, k, v, *args)
    assert isinstance(result, np.ndarray) and result.dtype == np.float32 and result.shape == expected.shape
    bound = 160 * 2.0**-24 * max(1.0, np.abs(v).max(initial=0))
    assert np.abs(result - expected).max(initial=0) <= bound


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


def test_scores_that_would_overflow_exp():
    q = 30 * draw(4, 8)  # scores of some hundreds: exp(score) is inf
    assert_attention(ch11.attention(q, q, q).numpy(), q, q, q)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_nan_and_infinity_go_where_they_go_in_pytorch(bad, where):
    arrays = [draw(4, 6), draw(5, 6, seed=1), draw(5, 6, seed=2)]
    arrays[where][2, 1] = bad
    with np.errstate(all="ignore"):
        expected = torch_attention(*arrays, 3)
    result = ch11.attention(*arrays, num_heads=3).numpy()
    assert np.allclose(result, expected, atol=1e-5, equal_nan=True)


def test_softmax_of_special_values():
    inf, nan = np.inf, np.nan
    rows = [[0, -inf, 1], [-inf] * 3, [inf, 0, 0], [nan, 0, 0], [1e38, -1e38, 0], [-200, -201, -200]]
    t = np.array(rows, np.float32)
    with np.errstate(all="ignore"):
        expected = torch.softmax(torch.from_numpy(t.astype(np.float64)), -1).numpy()
    result = ch11.softmax(t).numpy()
    assert np.allclose(result, expected, atol=1e-7, equal_nan=True)
    assert result[0, 1] == 0  # exactly: a masked key has no weight


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
