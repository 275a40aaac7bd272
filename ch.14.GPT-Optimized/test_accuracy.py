"""The bounds that accuracy.py found by looking at every float32, held on a dense sample of them."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

import accuracy
from accuracy import INFINITY, worst

STRIDE = 1009  # a prime, so that no bit of the numbers looked at is always the same


# [bounds]
@pytest.mark.parametrize(
    ("name", "low", "high", "ulp"),
    [
        ("exp", -87.3, 0, 1.02),
        ("tanh", 0, INFINITY, 4.9),
        ("tanh", -INFINITY, 0, 4.9),
        ("gelu", 0, 16, 2.6),
        ("gelu", -1, 0, 6.5),
    ],
)
def test_no_result_is_further_from_the_true_value_than_this(name, low, high, ulp):
    found = worst(name, low, high, STRIDE)
    assert 0.5 < found.ulp <= ulp, found  # not even a correctly rounded function has less than half an ulp


@pytest.mark.parametrize(
    ("name", "low", "high", "error"),
    [
        (
            "exp",
            -INFINITY,
            -87.3,
            2.0**-126,
        ),  # at most the smallest normal number: it becomes 0 a little early
        ("gelu", -16, -1, 6.4e-7),  # 1 + tanh(u) loses the digits in which tanh(u) differs from -1
    ],
)
def test_where_the_true_value_is_almost_0_the_result_is(name, low, high, error):
    assert 0 < worst(name, low, high, STRIDE).absolute <= error


# [/bounds]


@pytest.mark.parametrize(
    ("name", "at", "ulp"),
    [
        ("exp", -5.877884, 1.01),
        ("tanh", 5.126039, 4.896),
        ("gelu", 3.990282, 2.588),
        ("gelu", -0.9968795, 6.416),
    ],
)
def test_every_float_around_the_worst_of_all(name, at, ulp):
    """Where the sweep over all numbers found the greatest error: it is there, and nothing near is worse."""
    found = worst(name, 0.99 * at, 1.003 * at)
    assert found.ulp_at == pytest.approx(at, rel=1e-7) and found.ulp == pytest.approx(ulp, abs=0.0051)


def test_what_a_softmax_relies_on():
    """exp(0) is 1, so that the greatest score has weight 1; exp(-inf) is 0, for a first page and a masked place."""
    x = np.full(64, -np.inf, np.float32)
    x[:4] = 0, -0.0, -1000, -np.finfo(np.float32).max
    found = accuracy.ours("exp")(x)
    assert found[0] == found[1] == 1 and not found[2:].any()


def test_gelu_beyond_the_range_is_v_or_0():
    x = np.repeat(np.array([-3e38, -1000, -16, 16, 1000, 3e38], np.float32), 32)
    np.testing.assert_array_equal(accuracy.ours("gelu")(x), np.maximum(x, 0))


def test_tanh_is_odd_to_the_bit():
    (x, *_) = accuracy.floats(0, INFINITY, 4099)
    tanh = accuracy.ours("tanh")
    np.testing.assert_array_equal(tanh(-x).view(np.uint32), (-tanh(x)).view(np.uint32))


def test_every_float_of_a_range_is_looked_at():
    numbers = np.concatenate(list(accuracy.floats(-1, -0.5, 1)))
    assert numbers[0] == -0.5 and numbers[-1] == -1
    assert len(np.unique(numbers)) == 2**23 + 1
    sample = np.concatenate(list(accuracy.floats(0.5, 1, 4099)))
    assert sample[0] == 0.5 and sample[-1] == 1 and len(np.unique(sample)) == 2**23 // 4099 + 2


def test_an_error_of_one_ulp_is_one(monkeypatch):
    """The measure itself, by functions that are one float32 off and no number at all."""

    def one_too_great(x):
        return np.nextafter(np.exp(x.astype(np.float64)).astype(np.float32), np.float32(9))

    monkeypatch.setattr(accuracy, "ours", lambda name: one_too_great)
    assert 1.45 < worst("exp", -0.6, -0.1, STRIDE).ulp <= 1.5
    # Just below 1 the floats lie twice as dense as above it.
    assert 2.45 < worst("exp", -1e-7, -1e-9, STRIDE).ulp <= 2.5
    monkeypatch.setattr(accuracy, "ours", lambda name: lambda x: x * np.float32(np.nan))
    assert np.isnan(worst("exp", -80, 0, STRIDE).ulp)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
