"""The compiled ops, one at a time: to the last bit what ch14_orders.py writes down, whatever the number of rows; and
close to what ch14_naive.py computes in float64."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

import accuracy
import ch14_gpt_optimized as gpt
import ch14_naive as naive
import ch14_orders as orders
import ch14_text
from ch14_testing import assert_same_bits, relative_error

LANES, PANEL = gpt.host_tile()["lanes"], gpt.host_tile()["panel"]
ROWS = pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 8, 13, 33])


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def exp(x: np.ndarray) -> np.ndarray:
    """The step's own, of any number of numbers."""
    padded = np.zeros(-(-x.size // LANES) * LANES, np.float32)
    padded[: x.size] = x
    return accuracy.ours("exp")(padded)[: x.size]


def packed(w: np.ndarray) -> np.ndarray:
    k, n = w.shape
    return np.ascontiguousarray(w.reshape(k, n // PANEL, PANEL).transpose(1, 0, 2))


# --- products


@ROWS
@pytest.mark.parametrize("k", [1, 2, 37])
def test_a_product_adds_from_first_to_last(rows, k):
    n = 5 * PANEL  # four panels at a time and one
    x, w = draw(rows, k), draw(k, n)
    call = ch14_text.compiled(ch14_text.linear(k, n))
    out = call([x, packed(w), np.zeros(n, np.float32), np.zeros((rows, n), np.float32)], (rows, n))
    assert_same_bits(out, np.array([orders.linear(row, w) for row in x]))


def test_another_order_has_other_bits():
    """Else the tests above would say nothing."""
    x, w = draw(37), draw(37, 64)
    assert (orders.linear(x, w) != orders.linear(x[::-1], w[::-1])).any()
    apart = np.zeros(64, np.float32)
    for k in range(37):
        apart = apart + x[k] * w[k]  # two roundings
    assert (orders.linear(x, w) != apart).any()
    halves = orders.linear(x[:18], w[:18]) + orders.linear(x[18:], w[18:])
    assert (orders.linear(x, w) != halves).any()


@pytest.mark.parametrize("epilogue", ["", "gelu", "accumulate"])
@pytest.mark.parametrize("rows", [1, 2, 11])
def test_an_epilogue_is_what_follows_in_passes(rows, epilogue):
    k, n = 24, 3 * PANEL
    x, w, bias, old = draw(rows, k), draw(k, n), draw(n), draw(rows, n, seed=1)
    call = ch14_text.compiled(ch14_text.linear(k, n, epilogue, bias=True))
    out = call([x, packed(w), bias, old], (rows, n))
    wide = [a.astype(np.float64) for a in (x, w, bias)]
    expected = naive.linear(
        *wide, gelu=epilogue == "gelu", residual=old if epilogue == "accumulate" else None
    )
    assert relative_error(out, expected) <= 1e-6


# --- norms


@ROWS
@pytest.mark.parametrize("width", [1, LANES - 1, LANES, 3 * LANES + 5])
def test_a_norm_adds_lane_by_lane(rows, width):
    x, gamma, beta = draw(rows, width), draw(width, seed=1), draw(width, seed=2)
    out = ch14_text.compiled(ch14_text.norm(width, 1e-5))([x, gamma, beta], (rows, width))
    assert_same_bits(out, np.array([orders.norm(row, gamma, beta, 1e-5, LANES) for row in x]))


# --- attention


def paged(keys: np.ndarray, values: np.ndarray, page_size: int, table: list[int], num_pages: int):
    """K and V of one sequence [T, H, D] on the pages of its table; NaN everywhere else."""
    _, heads, head_dim = keys.shape
    k = np.full((num_pages, heads, head_dim, page_size), np.nan, np.float32)
    v = np.full((num_pages, heads, page_size, head_dim), np.nan, np.float32)
    for position in range(len(keys)):
        page, place = table[position // page_size], position % page_size
        k[page, :, :, place], v[page, :, place] = keys[position], values[position]
    return k, v


@pytest.mark.parametrize(
    "positions",
    [
        [0],
        [7],
        [149],
        [3, 4, 5, 6],
        [*range(13)],
        [*range(55, 75)],
        [149, 0, 64, 149, 1],
        [9, 80, 3, 149, 62, 63],
    ],
    ids=str,
)
@pytest.mark.parametrize(("heads", "head_dim", "page_size"), [(2, 12, 4), (1, 5, 3), (3, 16, 8)])
def test_attention_takes_pages_in_order(positions, heads, head_dim, page_size):
    length, width = 150, heads * head_dim
    keys, values = draw(length, heads, head_dim), draw(length, heads, head_dim, seed=1)
    table = np.random.default_rng(0).permutation(60)[: -(-length // page_size)].tolist()
    k, v = paged(keys, values, page_size, table, 60)
    q = 3 * draw(len(positions), width, seed=2)
    call = ch14_text.compiled(ch14_text.attention(heads, head_dim, page_size))
    indices = np.array(positions, np.int32)
    out = call(
        [q, indices, np.zeros_like(indices), np.array([table], np.int32), k, v], (len(positions), width)
    )
    for row, position in enumerate(positions):
        for head in range(heads):
            columns = slice(head * head_dim, (head + 1) * head_dim)
            pages = [(k[page, head].T, v[page, head]) for page in table]
            with np.errstate(invalid="ignore"):
                expected = orders.attention(q[row, columns], pages, position + 1, exp)
            assert_same_bits(out[row, columns], expected)
            past = slice(0, position + 1)
            exact = naive.attention(
                np.repeat(q[row : row + 1, columns].astype(np.float64), position + 1, axis=0),
                keys[past, head].astype(np.float64),
                values[past, head].astype(np.float64),
            )[-1]
            assert relative_error(out[row, columns], exact) <= 2e-6


def test_one_pass_over_pages_is_the_softmax_over_all():
    """The naive ones agree: m, l and o are enough."""
    q, keys, values = (draw(17, 6, seed=i).astype(np.float64) for i in range(3))
    expected = naive.attention(q, keys, values)
    for t in range(17):
        pages = [(keys[p : min(p + 5, t + 1)], values[p : min(p + 5, t + 1)]) for p in range(0, t + 1, 5)]
        np.testing.assert_allclose(naive.online_attention(q[t], pages), expected[t], rtol=1e-12)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
