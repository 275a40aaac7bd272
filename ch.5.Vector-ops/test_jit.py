"""What chapter 5 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import itertools
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import strided

import ch5
import ch5_vector_ops
from ch5_testing import (
    A37,
    B37,
    KERNELS,
    assert_same_bits,
    every_function,
    every_kernel,
    expected,
    random_arrays,
)

# --- the result --------------------------------------------------------------------------------------


@every_function
def test_every_length(saxpy):
    """All lengths around the steps of 8, 16, 64 and 128 that LLVM's loops make, with a canary at either end."""
    A, B = random_arrays(300)
    for n in range(300):
        memory = np.full(n + 32, 7, np.float32)
        result = saxpy(0.3, A[:n], B[:n], out=memory[16 : 16 + n])
        assert_same_bits(result, expected(0.3, A[:n], B[:n]))
        assert (memory[:16] == 7).all() and (memory[16 + n :] == 7).all(), n
        assert_same_bits(saxpy(0.3, A[:n], B[:n]), result)


SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 1.5, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 1e-20, np.inf, -np.inf, np.nan], np.float32
)


@every_function
@pytest.mark.parametrize("alpha", SPECIAL)
def test_special_values(saxpy, alpha):
    """NaN, infinities, denormal numbers, overflow, signed zeros: every pair, in vectors and in the tail."""
    A, B = map(np.array, zip(*itertools.product(SPECIAL, SPECIAL)))
    for first in range(16):
        assert_same_bits(saxpy(alpha, A[first:], B[first:]), expected(alpha, A[first:], B[first:]))
    for n in range(1, 16):
        assert_same_bits(saxpy(alpha, A[-n:], B[-n:]), expected(alpha, A[-n:], B[-n:]))


@every_kernel
def test_product_and_sum_are_rounded_one_by_one(kernel):
    """(1 + e)(1 + e) - (1 + 2e) is 0 when the product is rounded, and e * e when the two operations are fused."""
    e = np.float32(2.0**-12)
    for n in (1, 15, 16, 17, 64, 200):
        ones = np.ones(n, np.float32)
        assert not KERNELS[kernel](1 + e, ones + e, -(ones + 2 * e)).any()
    assert not re.search(r"fmuladd|\bllvm\.fma", ch5.llvm_ir(kernel))
    assert not re.search(r"\b(vfmadd|fmadd|fmla)", ch5.assembly(kernel))


lengths = st.one_of(st.integers(0, 40), st.integers(0, 300))
alphas = st.floats(width=32)


@settings(deadline=None, max_examples=200)
@given(st.data(), lengths, alphas)
def test_strides_do_not_matter(data, n, alpha):
    A, B = data.draw(strided((n,))), data.draw(strided((n,)))
    for saxpy in KERNELS.values():
        assert_same_bits(saxpy(alpha, A, B), expected(alpha, A, B))


@every_function
@pytest.mark.parametrize(
    "alpha", [0.1, 3, True, np.float64(0.1), np.float16(0.1), np.int64(-2), 1e300, -1e300, float("nan")]
)
def test_any_number_may_be_alpha(saxpy, alpha):
    A, B = random_arrays(37)
    with np.errstate(over="ignore"):
        assert_same_bits(saxpy(alpha, A, B), expected(alpha, A, B))


@every_function
def test_inputs_are_not_written(saxpy):
    A, B = random_arrays(1003)
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    saxpy(0.3, A, B)
    saxpy(0.3, A[::2], B[::2][::-1])
    assert (A.tobytes(), B.tobytes()) == before


@every_function
def test_results_are_fresh(saxpy):
    A, B = random_arrays(1003)
    first = saxpy(0.3, A, B)
    kept = first.copy()
    second = saxpy(0.3, -A, B)
    assert not any(np.shares_memory(first, other) for other in (second, A, B))
    assert np.array_equal(first, kept)
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- the result in an array of the caller's ----------------------------------------------------------


@every_function
def test_out_is_written_and_returned(saxpy):
    A, B = random_arrays(1003)
    out = np.zeros(1003, np.float32)
    assert saxpy(0.3, A, B, out=out) is out
    assert_same_bits(out, expected(0.3, A, B))


@every_function
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100, 1003])
def test_out_may_be_an_input(saxpy, n):
    for which in (0, 1):
        arrays = random_arrays(n)
        want = expected(0.3, *arrays)
        saxpy(0.3, *arrays, out=arrays[which])
        assert_same_bits(arrays[which], want)
    A = random_arrays(n)[0]
    want = expected(0.3, A, A)
    assert_same_bits(saxpy(0.3, A, A, out=A), want)


@every_function
@pytest.mark.parametrize("distance", [-40, -16, -1, 1, 3, 16, 40, 63, 64, 65])
def test_out_may_overlap_an_input(saxpy, distance):
    """As in NumPy: the result is what it would be if nothing overlapped."""
    start = 100
    for which in (0, 1):
        memory, other = random_arrays(400)
        inputs = [memory[start : start + 200], other[:200]]
        inputs = inputs if which == 0 else inputs[::-1]
        want = expected(0.3, *inputs)
        out = memory[start + distance : start + distance + 200]
        assert_same_bits(saxpy(0.3, *inputs, out=out), want)
    reversed_in_place = random_arrays(200)[0]
    want = expected(0.3, reversed_in_place[::-1], reversed_in_place)
    saxpy(0.3, reversed_in_place[::-1], reversed_in_place, out=reversed_in_place)
    assert_same_bits(reversed_in_place, want)


def read_only(n):
    array = np.zeros(n, np.float32)
    array.flags.writeable = False
    return array


@every_function
@pytest.mark.parametrize(
    "out, error, sentence",
    [
        (np.zeros(36, np.float32), ValueError, "out: expected shape (37,), got (36,)"),
        (np.zeros((37, 1), np.float32), ValueError, "out: expected shape (37,), got (37, 1)"),
        (np.zeros(37), TypeError, "out: expected an array of float32, got one of float64"),
        ([0.0] * 37, TypeError, "out: expected a NumPy array of float32, got list"),
        (
            np.zeros(74, np.float32)[::2],
            ValueError,
            "out: expected an array that can be written, aligned and in C order",
        ),
        (read_only(37), ValueError, "out: expected an array that can be written, aligned and in C order"),
        (
            np.zeros(149, np.uint8)[1:].view(np.float32),
            ValueError,
            "out: expected an array that can be written, aligned and in C order",
        ),
    ],
)
def test_a_bad_out_is_a_sentence(saxpy, out, error, sentence):
    with pytest.raises(error) as raised:
        saxpy(0.3, *random_arrays(37), out=out)
    assert type(raised.value) is error and str(raised.value) == sentence


# --- the errors --------------------------------------------------------------------------------------


@every_function
@pytest.mark.parametrize(
    "alpha, A, B, error, sentence",
    [
        ("two", A37, B37, TypeError, "alpha: expected a number, got str"),
        (None, A37, B37, TypeError, "alpha: expected a number, got NoneType"),
        (1j, A37, B37, TypeError, "alpha: expected a number, got complex"),
        (np.float32([2]), A37, B37, TypeError, "alpha: expected a number, got ndarray"),
        (10**400, A37, B37, ValueError, "alpha: expected a number that a float can hold"),
        (0.3, A37, B37[1:], ValueError, "B: expected shape (37,), got (36,)"),
        (0.3, A37[:, None], B37, ValueError, "A: expected shape (any,), got (37, 1)"),
        (0.3, A37, B37[:, None], ValueError, "B: expected shape (37,), got (37, 1)"),
        (0.3, A37[0], B37, TypeError, "A: expected a NumPy array of float32, got float32"),
        (0.3, np.zeros((), np.float32), B37, ValueError, "A: expected shape (any,), got ()"),
        (0.3, A37.astype(np.float64), B37, TypeError, "A: expected an array of float32, got one of float64"),
        (0.3, A37, B37.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (0.3, A37, B37.astype(">f4"), TypeError, "B: expected an array of float32, got one of >f4"),
        (0.3, A37.tolist(), B37, TypeError, "A: expected a NumPy array of float32, got list"),
    ],
)
def test_a_bad_argument_is_a_sentence(saxpy, alpha, A, B, error, sentence):
    with pytest.raises(error) as raised:
        saxpy(alpha, A, B)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_same_bits(saxpy(0.3, A37, B37), expected(0.3, A37, B37))  # and nothing is broken afterwards


@pytest.mark.parametrize(
    "call",
    [
        lambda: ch5.ir("avx512"),
        lambda: ch5.stages(kernel="avx512"),
        lambda: ch5.llvm_ir("avx512"),
        lambda: ch5.assembly("avx512"),
        lambda: ch5.test_optimized_ir("avx512"),
        lambda: ch5.measure(1, 0.3, A37, B37, None, "avx512"),
    ],
)
def test_an_unknown_kernel_is_a_sentence(call):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == "kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'"


def test_measure():
    A, B = random_arrays(1003)
    out = np.zeros(1003, np.float32)
    for kernel in KERNELS:
        out[:] = 0
        assert 0 < ch5.measure(3, 0.3, A, B, out, kernel) < 60
        assert_same_bits(out, expected(0.3, A, B))
    with pytest.raises(ValueError, match="^times: expected at least 1, got 0$"):
        ch5.measure(0, 0.3, A, B, out)


# --- names --------------------------------------------------------------------------------------------


def test_names():
    assert ch5 is ch5_vector_ops
    assert ch5.test_ir_generation() == ch5.ir() == ch5.ir("scf") == ch5.ir(kernel="scf")
    for kernel in KERNELS:
        assert ch5.test_optimized_ir(kernel) == ch5.test_lowered_ir(kernel) == ch5.stages(kernel)[-1][1]
    assert ch5.saxpy.__name__ == "saxpy" and ch5.saxpy.__doc__ and ch5.__doc__


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
