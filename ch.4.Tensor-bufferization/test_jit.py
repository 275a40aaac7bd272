"""What chapter 4 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import assert_is_product, run_python, strided

import ch4
import ch4_tensor_bufferization
from ch4_testing import COUNTS, GOOD_A, GOOD_B, count, every_variant, random_arrays


@st.composite
def factors(draw):
    """A [M, K] and B [K, N] with any sizes, 0 included, and any strides."""
    M, K, N = (draw(st.integers(0, 12)) for _ in range(3))
    return draw(strided((M, K))), draw(strided((K, N)))


# --- the result --------------------------------------------------------------------------------------


@every_variant
@settings(deadline=None, max_examples=60)
@given(factors())
def test_gemm_is_numpys_product(variant, arrays):
    A, B = arrays
    C = ch4.gemm(A, B, variant)
    assert_is_product(C, A, B)
    assert np.array_equal(C, ch4.gemm(A.copy(), B.copy()))  # the same to the last bit, whatever the variant


@every_variant
def test_strides_that_are_no_multiple_of_an_element(variant):
    """Fields of packed records: no memref can describe them, so they are copied."""
    records = np.zeros((6, 4), dtype=[("value", "f4"), ("mark", "i1")])
    A, B = random_arrays(6, 4, 4)
    records["value"] = A
    assert records["value"].strides == (20, 5)
    assert np.array_equal(ch4.gemm(records["value"], B, variant), ch4.gemm(A, B))
    assert np.array_equal(ch4.gemm(B, records["value"].T, variant), ch4.gemm(B, A.T))


@every_variant
def test_known_values(variant):
    A = np.arange(300 * 20, dtype=np.float32).reshape(300, 20) % 7
    B = np.arange(20 * 110, dtype=np.float32).reshape(20, 110) % 5
    assert np.array_equal(ch4.gemm(A, B, variant), A @ B)  # small integers: every sum is exact
    A[3, 7], A[5, 0] = np.nan, np.inf
    C = ch4.gemm(A, B + 1, variant)
    assert np.isnan(C[3]).all() and np.isinf(C[5]).all()
    assert np.isfinite(np.delete(C, [3, 5], axis=0)).all()


@every_variant
@pytest.mark.parametrize("M, K, N", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1)])
def test_sizes_of_zero(variant, M, K, N):
    C = ch4.gemm(np.ones((M, K), np.float32), np.ones((K, N), np.float32), variant)
    assert C.shape == (M, N) and (C == K).all()


@every_variant
def test_inputs_are_not_written_and_results_are_fresh(variant):
    A, B = random_arrays()
    A.flags.writeable = B.flags.writeable = False
    before = A.tobytes(), B.tobytes()
    first = ch4.gemm(A, B, variant)
    kept = first.copy()
    second = ch4.gemm(-A, B, variant)
    assert (A.tobytes(), B.tobytes()) == before
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.writeable and first.flags.c_contiguous
    first[:] = 0  # ours to write
    assert np.array_equal(second, -kept)


def test_a_returned_memref_lives_as_long_as_its_last_view():
    A, B = random_arrays()
    before = ch4.allocations()
    C = ch4.gemm(A, B, "naive")
    expected = C[2:4].copy()
    view = C[2:4]
    del C
    held = ch4.allocations()
    assert np.array_equal(view, expected)
    assert held.made - before.made == 2 and held.freed - before.freed == 1
    del view
    assert ch4.allocations().freed - before.freed == 2


def test_a_returned_memref_is_aligned_to_a_cache_line():
    """`allocated` is what malloc gave; `aligned`, where the numbers begin, is the next multiple of 64."""
    A, B = random_arrays()
    for _ in range(20):
        assert ch4.gemm(A, B, "naive").ctypes.data % 64 == 0


# --- the errors --------------------------------------------------------------------------------------


@every_variant
@pytest.mark.parametrize(
    "A, B, error, sentence",
    [
        (GOOD_A, GOOD_B[:4], ValueError, "B: expected shape (5, any) for an A of (9, 5), got (4, 7)"),
        (GOOD_A[0], GOOD_B, ValueError, "A: expected shape (any, any), got (5,)"),
        (GOOD_A, GOOD_B[None], ValueError, "B: expected shape (any, any), got (1, 5, 7)"),
        (GOOD_A, np.float32(1), TypeError, "B: expected a NumPy array of float32, got float32"),
        (GOOD_A.astype(np.float64), GOOD_B, TypeError, "A: expected an array of float32, got one of float64"),
        (GOOD_A, GOOD_B.astype(np.int32), TypeError, "B: expected an array of float32, got one of int32"),
        (GOOD_A.tolist(), GOOD_B, TypeError, "A: expected a NumPy array of float32, got list"),
        (GOOD_A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence(variant, A, B, error, sentence):
    with pytest.raises(error) as raised:
        ch4.gemm(A, B, variant)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert_is_product(ch4.gemm(GOOD_A, GOOD_B, variant), GOOD_A, GOOD_B)  # and nothing is broken afterwards


@pytest.mark.parametrize("name", ["", "Naive", "fast"])
def test_an_unknown_variant_is_a_sentence(name):
    sentence = f"variant: expected 'naive', 'out_parameter' or 'destination', got '{name}'"
    for function in (lambda: ch4.gemm(GOOD_A, GOOD_B, name), lambda: ch4.ir(name), lambda: ch4.stages(name)):
        with pytest.raises(ValueError, match=re.escape(sentence)):
            function()


@every_variant
def test_a_result_that_is_too_large_is_an_error(variant):
    """2^62 elements are 2^64 bytes, which is 0 in 64 bits: compiled code would allocate nothing and write."""
    asan = os.environ.get("ASAN_OPTIONS", "") + ":allocator_may_return_null=1"  # as malloc does
    said = run_python(
        f"""
        import numpy as np, ch4
        for n in 2**31, 2**28:
            A = np.broadcast_to(np.float32(1), (n, 1))
            try:
                ch4.gemm(A, A.T, "{variant}")
            except (MemoryError, ValueError):
                print("refused")
        """,
        ASAN_OPTIONS=asan,
    )
    assert said.split() == ["refused", "refused"]


# --- what each variant allocates, copies and frees ----------------------------------------------------


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_allocations_and_copies_in_the_ir(variant, deallocate):
    alloc, copy, dealloc = COUNTS[variant]
    assert count.in_ir(variant, deallocate=deallocate) == {
        "alloc": alloc,
        "copy": copy,
        "dealloc": dealloc if deallocate else 0,
    }


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_allocations_at_run_time(variant, deallocate):
    alloc, _, dealloc = COUNTS[variant]
    returned = 1 if variant == "naive" else 0
    freed = dealloc if deallocate else 0
    assert count.at_run_time(variant, GOOD_A, GOOD_B, deallocate=deallocate) == {
        "allocated": alloc,
        "freed in the call": freed,
        "freed with C": returned,
        "lost": alloc - freed - returned,
    }


def test_bytes_are_those_of_c_and_the_alignment():
    before = ch4.allocations()
    ch4.gemm(GOOD_A, GOOD_B, "out_parameter")
    assert ch4.allocations().bytes - before.bytes == 4 * 9 * 7 + 64


def test_names():
    assert ch4 is ch4_tensor_bufferization
    assert ch4.test_ir_generation() == ch4.ir() == ch4.tensor_ir() == ch4.test_tensor_ir()
    assert ch4.test_optimized_ir() == ch4.test_lowered_ir() == ch4.stages()[-1][1]
    assert ch4.gemm.__doc__ and ch4.__doc__ and ch4.allocations.__doc__


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
