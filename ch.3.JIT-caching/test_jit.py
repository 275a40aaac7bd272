"""What chapter 3 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import assert_is_product, strided

import ch3
import ch3_jit_caching
from ch3_testing import CAPACITY, A, B, bad_ir, draw

# --- the result --------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 2, 3, 5, 8, 17, 33])


@st.composite
def operands(draw):
    m, k, n = draw(SIZES), draw(SIZES), draw(SIZES)
    return draw(strided((m, k))), draw(strided((k, n)))


@settings(deadline=None, max_examples=150)
@given(operands())
def test_gemm_is_the_product_for_any_shape_and_stride(arrays):
    assert_is_product(ch3.gemm(*arrays), *arrays)


@settings(deadline=None, max_examples=30)
@given(operands())
def test_the_fixed_function_gives_the_same_bits(arrays):
    assert np.array_equal(ch3.gemm_fixed(*arrays), ch3.gemm(*arrays))


def test_every_level_gives_the_same_bits():
    # LLVM may not change the order of a sum, at any level.
    results = [ch3.gemm(A, B, opt_level=level) for level in range(4)]
    assert all(np.array_equal(C, results[0]) for C in results)
    assert_is_product(results[0], A, B)


def test_the_level_is_that_of_the_code():
    x = draw(64, 64)

    def shortest(level):
        def seconds():
            start = time.perf_counter()
            ch3.gemm(x, x, opt_level=level)
            return time.perf_counter() - start

        return min(seconds() for _ in range(20))

    assert shortest(0) > 2 * shortest(3)  # without registers for the loops it takes many times as long


def test_nan_and_infinity_pass_through():
    x = A.copy()
    x[1, 2], x[3, 0] = np.nan, np.inf
    C = ch3.gemm(x, B)
    assert np.isnan(C[1]).all() and np.isinf(C[3]).all()
    assert np.isfinite(np.delete(C, [1, 3], axis=0)).all()


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed, lambda a, b: ch3.run(ch3.ir(), a, b)])
def test_inputs_are_not_written_and_results_are_fresh(gemm):
    x, y = A.copy(), B.copy()
    x.flags.writeable = y.flags.writeable = False
    first = gemm(x, y)
    kept = first.copy()
    second = gemm(-x, y)
    assert (x.tobytes(), y.tobytes()) == (A.tobytes(), B.tobytes())
    assert np.array_equal(first, kept) and np.array_equal(second, -kept)
    assert first.flags.owndata and first.flags.writeable and not np.shares_memory(first, second)


# --- the errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed])
@pytest.mark.parametrize(
    "a, b, error, sentence",
    [
        (A, A, ValueError, "B: expected shape (7, any) for an A of (5, 7), got (5, 7)"),
        (A[0], B, ValueError, "A: expected shape (any, any), got (7,)"),
        (A, B[None], ValueError, "B: expected shape (any, any), got (1, 7, 3)"),
        (A, B.astype(np.float64), TypeError, "B: expected an array of float32, got one of float64"),
        (A.tolist(), B, TypeError, "A: expected a NumPy array of float32, got list"),
        (A, None, TypeError, "B: expected a NumPy array of float32, got NoneType"),
    ],
)
def test_a_bad_argument_is_a_sentence_and_compiles_nothing(gemm, a, b, error, sentence):
    with pytest.raises(error) as raised:
        gemm(a, b)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY)


@pytest.mark.parametrize("level", [-1, 4])
def test_a_bad_level_is_a_sentence(level):
    for call in (ch3.gemm, ch3.gemm_fixed, lambda *a, **k: ch3.run(ch3.ir(), *a, **k)):
        with pytest.raises(ValueError, match=f"^opt_level: expected 0 to 3, got {level}$"):
            call(A, B, opt_level=level)


def test_a_bad_shape_is_a_sentence():
    with pytest.raises(ValueError, match=r"^shape: expected sizes of at least 0, got \(8, -1, 3\)$"):
        ch3.ir((8, -1, 3))


# --- what is compiled when ---------------------------------------------------------------------------


def test_one_compile_for_all_shapes():
    for size in range(20):
        x, y = draw(size, 5), draw(5, 20 - size)
        assert_is_product(ch3.gemm(x, y), x, y)
    ch3.gemm(A[::2, ::2], B.T[:, 1:5].T)  # strides are the call's matter too
    info = ch3.cache_info()
    assert info[:2] == (20, 1) and info[3:] == (1, CAPACITY) and 0 < info.compile_seconds < 30


def test_one_compile_for_each_fixed_shape():
    for _ in range(3):
        for size in range(6):
            x, y = draw(size, 5), draw(5, 3)
            assert_is_product(ch3.gemm_fixed(x, y), x, y)
    assert ch3.cache_info()[:2] == (12, 6) and ch3._num_live_programs() == 6


def test_each_size_is_in_the_key_of_a_fixed_shape():
    shapes = [(2, 3, 4), (2, 4, 3), (3, 2, 4), (23, 4, 1), (2, 34, 1), (2, 3, 41)]
    for m, k, n in shapes:
        assert_is_product(ch3.gemm_fixed(draw(m, k), draw(k, n, seed=1)), draw(m, k), draw(k, n, seed=1))
    assert ch3.cache_info().misses == len(shapes)


def test_data_and_strides_are_not_in_the_key():
    for x, y in [(A, B), (-A, B), (A.T.copy().T, B[::-1]), (A * np.nan, B)]:
        ch3.gemm_fixed(x, y)
    assert ch3.cache_info()[:2] == (3, 1)


@pytest.mark.parametrize("gemm", [ch3.gemm, ch3.gemm_fixed, lambda a, b, **k: ch3.run(ch3.ir(), a, b, **k)])
def test_the_level_is_in_the_key(gemm):
    for level in (3, 0, 3, 0, 2, 1):
        gemm(A, B, opt_level=level)
    gemm(A, B)
    assert ch3.cache_info()[:2] == (3, 4)


def test_the_text_is_the_key_of_a_readers_ir():
    ir = ch3.ir()
    ones = ir.replace("0.000000e+00", "1.000000e+00")
    for _ in range(3):
        assert np.array_equal(ch3.run(ir, A, B), ch3.gemm(A, B))
        assert np.allclose(ch3.run(ones, A, B), A @ B + 1, atol=1e-5)
    assert ch3.cache_info()[:2] == (6, 3)  # ir, ones, and gemm's own
    ch3.run("// another text, the same program\n" + ir, A, B)
    assert ch3.cache_info()[:2] == (6, 4)


def test_no_text_is_taken_for_another_key():
    ch3.gemm(A, B)
    ch3.gemm_fixed(A, B)
    for text in ["", "O3", "O3 5 7 3", "\n"]:
        with pytest.raises(ch3.CompileError):
            ch3.run(text, A, B)
    assert ch3.cache_info()[:2] == (0, 2)


def test_the_one_asked_for_longest_ago_is_forgotten():
    for size in range(CAPACITY):
        ch3.gemm_fixed(draw(size, 1), draw(1, 1))
    ch3.gemm_fixed(draw(0, 1), draw(1, 1))  # recent again
    assert ch3.cache_info()[:2] == (1, CAPACITY)
    ch3.gemm(A, B)  # one too many: size 1 goes
    info = ch3.cache_info()
    assert info.size == CAPACITY == ch3._num_live_programs() and info.misses == CAPACITY + 1
    ch3.gemm_fixed(draw(0, 1), draw(1, 1))
    ch3.gemm_fixed(draw(2, 1), draw(1, 1))
    assert ch3.cache_info().misses == CAPACITY + 1
    ch3.gemm_fixed(draw(1, 1), draw(1, 1))
    assert ch3.cache_info().misses == CAPACITY + 2


def test_clearing_forgets_the_programs_and_the_counts():
    ch3.gemm(A, B)
    ch3.gemm_fixed(A, B)
    assert ch3._num_live_programs() == 2
    ch3.clear_cache()
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY) and ch3._num_live_programs() == 0
    assert_is_product(ch3.gemm(A, B), A, B)
    assert ch3.cache_info()[:2] == (0, 1)


def test_compile_seconds_grow_by_compiling_only():
    ch3.gemm(A, B)
    seconds = ch3.cache_info().compile_seconds
    for _ in range(100):
        ch3.gemm(A, B)
    assert ch3.cache_info().compile_seconds == seconds > 0.0005
    ch3.gemm_fixed(A, B)
    assert ch3.cache_info().compile_seconds > seconds


# --- a failed compile --------------------------------------------------------------------------------


def test_a_failed_compile_leaves_nothing_and_is_tried_again():
    ch3.gemm(A, B)
    info = ch3.cache_info()
    for _ in range(3):
        with pytest.raises(ch3.CompileError, match=r"ir:4:5: error: custom op 'linalg.fil' is unknown"):
            ch3.run(bad_ir(), A, B)
        assert ch3.cache_info() == info and ch3._num_live_programs() == 1
    assert issubclass(ch3.CompileError, RuntimeError)


def test_another_function_or_type_is_refused():
    fixed = ch3.ir((5, 7, 3))
    with pytest.raises(ch3.CompileError, match=r"@gemm: expected the type \(memref<\?x\?xf32, strided"):
        ch3.run(fixed, A, B)
    with pytest.raises(ch3.CompileError, match="the IR defines no func.func @gemm"):
        ch3.run(ch3.ir().replace("@gemm", "@product"), A, B)
    assert ch3.cache_info()[:2] == (0, 0)


# --- names --------------------------------------------------------------------------------------------


def test_names():
    assert ch3 is ch3_jit_caching
    assert ch3.test_ir_generation() == ch3.ir()
    assert ch3.test_optimized_ir() == ch3.test_lowered_ir() == ch3.stages()[-1][1]
    assert ch3.cache_info()._fields == ("hits", "misses", "compile_seconds", "size", "capacity")
    assert repr(ch3.cache_info()).startswith("CacheInfo(hits=0, misses=0, compile_seconds=0.0")
    assert all(f.__doc__ for f in (ch3, ch3.gemm, ch3.gemm_fixed, ch3.run, ch3.cache_info, ch3.clear_cache))


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
