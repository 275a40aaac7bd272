"""What chapter 6 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import EPSILON, strided

import ch6
import ch6_softmax
from ch6_testing import GOOD, INF, KERNELS, LANES, LOWERINGS, NAN, TINY, ULP, bits, exact, scores


def num_additions(n, lanes):
    """How many additions a term of the sum goes through at most."""
    return -(-n // lanes) + (lanes if lanes > 1 else 0)


def assert_is_softmax(y, x, lowering="polynomial", lanes=LANES):
    """Up to rounding. With d = max - x, each rounding relative to its result at most EPSILON:

    x - max       one rounding, of d: exp makes a relative error of d * EPSILON from it
    exp           ULP units in the last place, each at most 2 * EPSILON; below TINY it may be 0
    sum           the terms' own errors, weighted as they are, and num_additions(n) roundings
    quotient      one rounding; below TINY it may be off by TINY
    """
    assert y.shape == x.shape and y.dtype == np.float32
    if x.size == 0:
        return
    p = exact(x)
    d = x.max(axis=-1, keepdims=True).astype(np.float64) - x
    term = d + 2 * ULP[lowering]
    total = (p * term).sum(axis=-1, keepdims=True) + num_additions(x.shape[-1], lanes)
    bound = 1.01 * EPSILON * (term + total + 1) * p + (x.shape[-1] + 2) * TINY
    assert (np.abs(y - p) <= bound).all()


# --- the result --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 1000, 4099])
def test_softmax_is_numpys_in_float64(n, lowering):
    x = scores(7, n, seed=n)
    assert_is_softmax(ch6.softmax(x, lowering=lowering), x, lowering)
    assert_is_softmax(ch6.softmax(x[0], lowering=lowering), x[0], lowering)
    assert_is_softmax(ch6.scalar_softmax(x, lowering=lowering), x, lowering, lanes=1)


def test_known_values():
    for lowering in LOWERINGS:
        for n in (1, 2, 4, 16, 64, 512):  # equal scores: every sum and quotient is exact
            y = ch6.softmax(np.full((3, n), 7.25, np.float32), lowering=lowering)
            assert np.array_equal(y, np.full((3, n), 1 / n, np.float32))
        y = ch6.softmax(np.array([0, 0, -1000], np.float32), lowering=lowering)
        assert np.array_equal(y, [0.5, 0.5, 0])


@settings(deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(LOWERINGS))
def test_any_shape_and_any_strides(data, lowering):
    sizes = st.sampled_from([0, 1, 2, 3, 15, 16, 17, 40, 65])
    shape = data.draw(st.tuples(sizes) | st.tuples(sizes, sizes))
    x = data.draw(strided(shape))
    y = ch6.softmax(x, lowering=lowering)
    assert_is_softmax(y, x, lowering)
    assert np.array_equal(y, ch6.softmax(x.copy(), lowering=lowering))  # to the last bit
    assert_is_softmax(ch6.scalar_softmax(x, lowering=lowering), x, lowering, lanes=1)


def test_memory_that_no_memref_describes():
    """Fields of packed records: 5 bytes from one to the next, no multiple of a float's 4."""
    records = np.zeros((3, 20), [("before", np.uint8), ("score", np.float32)])
    records["score"] = scores(3, 20)
    for x in (records["score"], records["score"].T, records["score"][1], records["score"][:, 2]):
        assert_is_softmax(ch6.softmax(x), x)


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_row_does_not_depend_on_its_neighbours(kernel, lowering):
    """The same bits alone, as a vector, in a batch, at any place in it, and with any strides."""
    function = getattr(ch6, kernel)
    for n in (1, 5, 16, 23, 64, 131):
        row = scores(n, seed=n)
        alone = bits(function(row, lowering=lowering))
        assert bits(function(row[None], lowering=lowering)) == alone
        for rows in (2, 3, 64):
            for place in {0, 1, rows - 1}:
                x = scores(rows, n, seed=rows, scale=30.0)
                x[:, 0] = np.nan  # even beside rows of NaN
                x[place] = row
                for view in (x, np.asfortranarray(x), np.repeat(x, 3, axis=1)[:, ::3], x[::-1][::-1]):
                    assert bits(function(view, lowering=lowering)[place]) == alone
        assert bits(function(np.broadcast_to(row, (3, n)), lowering=lowering)[2]) == alone


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_rows_sum_to_one(lowering):
    """The sum of the results is the sum of the terms over what we divide by. That is off by num_additions(n)
    roundings at most, and each quotient by one."""
    for n in (1, 10, 1000, 100_000):
        for scale in (0.1, 5.0, 50.0):
            y = ch6.softmax(scores(4, n, seed=n, scale=scale), lowering=lowering)
            bound = 1.01 * EPSILON * (num_additions(n, LANES) + 1) + n * TINY
            assert (np.abs(y.astype(np.float64).sum(axis=1) - 1) <= bound).all()


def test_inputs_are_not_written():
    x = scores(5, 40)
    x.flags.writeable = False
    before = x.tobytes()
    for kernel in KERNELS:
        for lowering in LOWERINGS:
            getattr(ch6, kernel)(x, lowering=lowering)
            getattr(ch6, kernel)(x.T[3], lowering=lowering)
    assert x.tobytes() == before


def test_results_are_fresh():
    for x in (scores(3, 20), scores(20)):
        first = ch6.softmax(x)
        kept = first.copy()
        second = ch6.softmax(-x)
        assert not np.shares_memory(first, second) and not np.shares_memory(first, x)
        assert np.array_equal(first, kept) and not np.array_equal(second, kept)
        assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- why the maximum ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_without_the_maximum_it_overflows(lowering):
    x = np.array([[1, 2, 3], [87, 88, 89]], np.float32)
    y = ch6.naive_softmax(x, lowering=lowering)
    assert np.allclose(y[0], exact(x[0]), rtol=1e-6)  # right where nothing overflows
    assert np.isnan(y[1, 2]) and (y[1, :2] == 0).all()  # inf / inf, and something / inf
    for kernel in (ch6.softmax, ch6.scalar_softmax):
        y = kernel(x, lowering=lowering)
        assert np.allclose(y[0], y[1], rtol=1e-6) and np.allclose(y, exact(x), rtol=1e-6)


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_without_the_maximum_it_also_underflows(lowering):
    x = np.array([-200, -201], np.float32)
    assert np.isnan(ch6.naive_softmax(x, lowering=lowering)).all()  # 0 / 0
    assert np.allclose(ch6.softmax(x, lowering=lowering), exact(x), rtol=1e-6)


def test_it_also_overflows_in_a_sum_of_terms_that_do_not():
    x = np.full(10, 88, np.float32)
    assert np.isfinite(ch6.exp(x)).all()
    assert (ch6.naive_softmax(x) == 0).all()  # the sum is inf
    assert np.array_equal(ch6.softmax(x), np.full(10, 0.1, np.float32))


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("scale", [1e4, 1e30, 3e38])
def test_large_scores(scale, lowering):
    x = np.random.default_rng(0).permutation(np.linspace(-scale, scale, 50)).astype(np.float32)
    y = ch6.softmax(x, lowering=lowering)
    assert np.array_equal(y, x == x.max())  # x - max may be -inf even: exp is 0


# --- rows of -inf, inf, NaN, one element, none -------------------------------------------------------


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("kernel", ["softmax", "scalar_softmax"])
@pytest.mark.parametrize(
    "row",
    [
        [-INF],
        [-INF, -INF, -INF],
        [NAN],
        [NAN, 1, 2],
        [1, 2, NAN],
        [-NAN, 3],
        [INF],
        [INF, 1, 2],
        [1, INF, -INF],
        [INF, INF],
        [INF, NAN],
        [NAN, -INF],
        [-INF, 5, -INF, 6],
        [-INF, 0],
        [3.5],
        [0.0, -0.0],
        [3e38, -3e38],
        [1e-45, 0],
    ],
)
def test_special_rows_are_numpys(row, kernel, lowering):
    """NaN, inf or nothing but -inf in a row: the whole row is NaN, as in NumPy and PyTorch, and no other row is.

    -inf beside a number: that element is 0."""
    for padding in (0, 13, 14, 15, 16, 50):  # also where a vector ends, and in the next one
        x = np.array(row + [-INF] * padding, np.float32)
        ones = np.ones_like(x)
        y = getattr(ch6, kernel)(np.stack([ones, x, ones]), lowering=lowering)
        assert np.allclose(y[1], exact(x), rtol=1e-6, atol=0, equal_nan=True)
        assert np.isnan(y[1]).all() or np.isfinite(y[1]).all()
        assert bits(y[0]) == bits(y[2]) and np.allclose(y[0], 1 / x.size, rtol=1e-6)


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_at_all(kernel, lowering):
    for shape in [(0,), (0, 0), (0, 5), (5, 0), (0, 16), (1, 0)]:
        y = getattr(ch6, kernel)(np.empty(shape, np.float32), lowering=lowering)
        assert y.shape == shape and y.dtype == np.float32


def test_one_element_is_one():
    x = scores(1000, 1, scale=1e6)
    for lowering in LOWERINGS:
        assert (ch6.softmax(x, lowering=lowering) == 1).all()


# --- every bit ----------------------------------------------------------------------------------------


def by_hand(x, lowering, lanes):
    """softmax of one row, in NumPy's float32, with the sum in the order that the IR says."""
    e = ch6.exp(x - x.max(), lowering=lowering)
    sums = np.zeros(lanes, np.float32)
    for terms in np.pad(e, (0, -len(e) % lanes)).reshape(-1, lanes):
        sums += terms
    total = np.float32(0)
    for lane in sums:
        total += lane
    return e / total


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("n", [1, 3, 16, 31, 64, 1001])
def test_every_bit_is_known(n, lowering):
    """Nothing here is left to the compiler: with exp given, NumPy gets the same bits in sixteen lanes, or in one."""
    x = scores(n, seed=n)
    assert np.array_equal(ch6.softmax(x, lowering=lowering), by_hand(x, lowering, LANES))
    assert np.array_equal(ch6.scalar_softmax(x, lowering=lowering), by_hand(x, lowering, 1))


# --- the errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, error, sentence",
    [
        (GOOD[None], ValueError, "x: expected shape (any,) or (any, any), got (1, 3, 20)"),
        (np.float32([1])[0], TypeError, "x: expected a NumPy array of float32, got float32"),
        (np.zeros((), np.float32), ValueError, "x: expected shape (any,) or (any, any), got ()"),
        (GOOD.astype(np.float64), TypeError, "x: expected an array of float32, got one of float64"),
        (GOOD.astype(np.float16), TypeError, "x: expected an array of float32, got one of float16"),
        (GOOD.astype(np.int32), TypeError, "x: expected an array of float32, got one of int32"),
        (GOOD.astype(">f4"), TypeError, "x: expected an array of float32, got one of >f4"),
        (GOOD.tolist(), TypeError, "x: expected a NumPy array of float32, got list"),
        (None, TypeError, "x: expected a NumPy array of float32, got NoneType"),
    ],
)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_bad_argument_is_a_sentence(kernel, x, error, sentence):
    with pytest.raises(error) as raised:
        getattr(ch6, kernel)(x)
    assert type(raised.value) is error and str(raised.value) == sentence


@pytest.mark.parametrize("lowering", ["fast", "", "LLVM", "libm "])
def test_a_bad_lowering_is_a_sentence(lowering):
    sentence = f"lowering: expected 'llvm', 'libm' or 'polynomial', got '{lowering}'"
    for call in (
        *(functools.partial(getattr(ch6, kernel), GOOD) for kernel in KERNELS),
        *(ch6.ir, ch6.stages, ch6.llvm_ir, ch6.assembly, ch6.test_optimized_ir),
        functools.partial(ch6.run, ch6.ir(), GOOD),
    ):
        with pytest.raises(ValueError) as raised:
            call(lowering=lowering)
        assert str(raised.value) == sentence


def test_a_bad_kernel_is_a_sentence():
    sentence = "kernel: expected 'exp', 'naive_softmax', 'scalar_softmax' or 'softmax', got 'tanh'"
    for call in (lambda: ch6.ir(kernel="tanh"), lambda: ch6.run(ch6.ir(), GOOD, kernel="tanh")):
        with pytest.raises(ValueError) as raised:
            call()
        assert str(raised.value) == sentence


# --- names --------------------------------------------------------------------------------------------


def test_names():
    assert ch6 is ch6_softmax
    for lowering in LOWERINGS:
        assert ch6.test_ir_generation(lowering) == ch6.ir(lowering)
        last = ch6.stages(lowering)[-1][1]
        assert ch6.test_optimized_ir(lowering) == ch6.test_lowered_ir(lowering) == last
    assert ch6.ir() == ch6.ir("polynomial") == ch6.ir("libm")  # the lowering comes later
    x = scores(20)
    assert np.array_equal(ch6.softmax(x), ch6.softmax(x, lowering="polynomial"))
    assert all(getattr(ch6, kernel).__doc__ for kernel in KERNELS) and ch6.__doc__


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
