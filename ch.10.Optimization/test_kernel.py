"""What the kernel of the last rung can: constants, any number of rows, threads, bfloat16, every machine's tile."""

import gc
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import assert_is_product, memory_growth_kb, together

import ch10
from ch10_testing import EVERY_TILE, draw, product, same_bits, stage

T = ch10.Tensor
ROWS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 33, 64, 257]  # every height of a tile; streamed, copied, packed


# --- the order of a sum ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_a_row_is_the_same_in_every_form(data):
    """Alone or among others, by a constant or not, any number of rows or a known one, on one thread or more."""
    m, k, n = data.draw(st.sampled_from(ROWS)), *(data.draw(st.integers(1, 90)) for _ in "kn")
    seed = data.draw(st.integers(0, 99))
    a, b = draw(m, k, seed=seed), draw(k, n, seed=1)
    expected = product(a, b)
    assert_is_product(expected, a, b)
    i = data.draw(st.integers(0, m - 1))
    for factor in (b, ch10.constant(b)):
        for threads in (1, 2):
            assert same_bits(product(a, factor, num_threads=threads), expected)
            assert same_bits(product(ch10.rows(a), factor, num_threads=threads), expected)
            assert same_bits(product(ch10.rows(a[i : i + 1]), factor, num_threads=threads)[0], expected[i])
    assert same_bits(product(a, b, "packed"), expected)


@pytest.mark.parametrize("k, n", [(300, 400), (257, 4100), (1500, 131)])
@pytest.mark.parametrize("m", [1, 2, 5, 12, 13, 100, 256, 300])
def test_large_factors(m, k, n):
    """Beyond the sizes that are read in place: B is streamed, copied in pieces, or packed."""
    a, b = draw(m, k), draw(k, n, seed=1)
    expected = product(a, b)
    assert_is_product(expected, a, b)
    assert same_bits(product(a, ch10.constant(b)), expected)
    assert same_bits(product(a, b, num_threads=2), expected)
    assert same_bits(ch10.forward(ch10.linear(a, np.ascontiguousarray(b.T))), expected)


@pytest.mark.parametrize("n", [1024, 1050])
def test_an_a_larger_than_the_caches(n):
    """Eight panels at a time meet a block of A; 1,050 columns leave a part of eight."""
    a, b = draw(2101, 1000), draw(1000, n, seed=1)
    expected = product(a, b)
    assert_is_product(expected, a, b)
    assert same_bits(product(a, ch10.constant(b)), expected)
    assert same_bits(product(a, b, num_threads=2), expected)
    assert same_bits(product(a[7:9], b), expected[7:9])


@EVERY_TILE
@pytest.mark.parametrize("m", [1, 3, 8, 13, 40])
def test_every_tile(lanes, m):
    a, b = draw(m, 70), draw(70, 50, seed=1)
    expected = product(a, b)
    for left in (a, ch10.rows(a)):
        for right in (b, ch10.constant(b)):
            c = product(left, right, lanes=lanes)
            assert_is_product(c, a, b)
            if ch10.tile()["lanes"] > 4 and lanes > 4:  # fused multiply-adds, each element in the same order
                assert same_bits(c, expected)


def test_the_tile_says_why():
    tile = ch10.tile()
    assert tile == ch10.tile(tile["lanes"]) and "registers" in tile["reason"]
    assert [ch10.tile(n)["columns"] for n in (16, 8, 4)] == [32, 16, 8]
    with pytest.raises(
        ValueError, match="lanes: expected 16, 8 or 4, or None for what this machine has, got 5"
    ):
        ch10.tile(5)


# --- constants ------------------------------------------------------------------------------------------


def test_a_constant_is_packed_once():
    a, b = draw(5, 40), draw(40, 70, seed=1)
    w = ch10.constant(b)
    assert ch10.layouts(w) == {}
    first = product(a, w)
    (bytes_,) = ch10.layouts(w).values()
    columns = ch10.tile()["columns"]
    panels = -(-70 // columns)
    assert bytes_ == 4 * 40 * columns * (panels + -panels % 4)
    # Another program, the same panels; and the array they came from may change.
    b[:] = 0
    assert same_bits(product(ch10.rows(a[:3]), w), first[:3]) and len(ch10.layouts(w)) == 1
    assert same_bits(product(a, w), first)
    # Its transpose is another order.
    product(draw(3, 70), ch10.transpose(w))
    assert same_bits(ch10.forward(ch10.linear(draw(3, 70), w)), product(draw(3, 70), draw(40, 70, seed=1).T))
    assert len(ch10.layouts(w)) == 2


def test_a_constant_in_other_places():
    """As the left factor, in a sum, as both factors at once: it is an array like any other."""
    s = draw(24, 24)
    w = ch10.constant(s)
    exact = s.astype(np.float64)
    for tensor, expected in [
        (w @ s, exact @ exact),
        (w @ w, exact @ exact),
        (T(s) @ w + w, exact @ exact + exact),
        (ch10.relu(w), np.maximum(exact, 0)),
        (ch10.linear(s, w) @ w, exact @ exact.T @ exact),
    ]:
        assert np.allclose(ch10.forward(tensor), expected, rtol=1e-4, atol=1e-4)
        assert np.allclose(ch10.forward(tensor, "baseline"), expected, rtol=1e-4, atol=1e-4)


def test_the_panels_go_with_the_constant():
    growth = memory_growth_kb(
        "import ch10; a, b = np.ones((2, 300), np.float32), np.ones((300, 300), np.float32)",
        "ch10.forward(ch10.matmul(a, ch10.constant(b)))",
        warm_up=50,
        calls=300,
    )
    assert growth < 2048  # 300 times 360 kB of panels


def test_threads_pack_a_constant_together():
    a, b = draw(9, 50), draw(50, 60, seed=1)
    expected = product(a, b)
    for _ in range(5):
        w = ch10.constant(b)
        for c in together(*[lambda w=w: product(a, w)] * 4):
            assert same_bits(c, expected)
        assert len(ch10.layouts(w)) == 1


# --- any number of rows ---------------------------------------------------------------------------------


def test_any_number_of_rows_compiles_once():
    ch10.clear_cache()
    w, bias = draw(70, 50), draw(70)
    weight = ch10.constant(w)
    for m in (1, 2, 3, 5, 8, 9, 0, 31, 200):
        x = draw(m, 50, seed=m)
        y = ch10.forward(ch10.relu(ch10.linear(ch10.rows(x), weight, bias)))
        assert y.shape == (m, 70) and np.allclose(y, np.maximum(x @ w.T + bias, 0), atol=1e-4)
    assert ch10.cache_info().misses == 1
    x = draw(4, 50)
    baseline = ch10.forward(ch10.linear(ch10.rows(x), weight, bias), "baseline")
    assert np.allclose(baseline, x @ w.T + bias, atol=1e-4)


def test_what_cannot_have_any_number_of_rows():
    x, s = ch10.rows(draw(4, 4)), draw(4, 4)
    with pytest.raises(
        ValueError, match=r"b: expected a matrix whose number of rows is part of the structure"
    ):
        ch10.matmul(s, x)
    with pytest.raises(
        ValueError, match=r"w: expected a matrix whose number of rows .*got rows\(\) of shape \(4, 4\)"
    ):
        ch10.linear(s, x)
    with pytest.raises(ValueError, match="x: expected a matrix whose number of rows"):
        ch10.transpose(x)
    with pytest.raises(ValueError, match=r"a, b: expected both to be rows\(\) or neither"):
        x + s
    assert np.allclose(ch10.forward(x + x), 2 * draw(4, 4))
    with pytest.raises(ch10.CompileError, match="only 'baseline' and 'optimized' take that"):
        ch10.forward(ch10.matmul(x, s), "packed")


# --- threads --------------------------------------------------------------------------------------------


def test_threads_are_checked():
    for n in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"num_threads: expected 1 to 1024, got {n}"):
            product(draw(2, 2), draw(2, 2), num_threads=n)


def test_more_threads_than_work():
    a, b = draw(3, 5), draw(5, 7, seed=1)
    assert same_bits(product(a, b, num_threads=8), product(a, b))


def test_python_threads_and_openmp():
    """Each of Python's threads has a team of its own."""
    a, b = draw(64, 80), draw(80, 300, seed=1)
    w, expected = ch10.constant(b), product(a, b)

    def work():
        return all(same_bits(product(ch10.rows(a), w, num_threads=n), expected) for n in (1, 2, 3) * 10)

    assert together(*[work] * 4) == [True] * 4


def test_the_loops_are_openmps():
    wide = ch10.matmul(draw(300, 300), draw(300, 300))
    parallel = dict(ch10.stages(wide, num_threads=2))["convert-scf-to-openmp"]
    assert parallel.count("omp.parallel") == 2  # A's blocks are packed, then C is computed
    little = ch10.matmul(draw(100, 100), draw(100, 100))  # less work than waking a thread is
    assert "__kmpc_fork_call" not in ch10.llvm_ir(little, num_threads=2)
    assert "omp." not in ch10.llvm_ir(wide) and "__kmpc_fork_call" in ch10.llvm_ir(wide, num_threads=2)


# --- memory ---------------------------------------------------------------------------------------------


FAULTS = """
import resource, numpy as np, sys
sys.path[:0] = {path}
import chapters, ch10
product = ch10.matmul(np.ones((512, 512), np.float32), ch10.constant(np.ones((512, 16), np.float32)))
for _ in range(3):
    ch10.forward(product)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    ch10.forward(product)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def test_a_call_takes_its_memory_from_the_call_before():
    """A's blocks are 1 MB; here malloc gives back to the system whatever has 64 kB or more."""
    faults = subprocess.run(
        [sys.executable, "-c", FAULTS.format(path=sys.path[:2])],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(faults.stdout) < 20  # 257 pages were faults


# --- bfloat16 -------------------------------------------------------------------------------------------


def to_bf16(x):
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (1, 65, 40), (5, 64, 33), (13, 7, 100), (70, 130, 70)])
def test_bfloat16(m, k, n):
    """Both factors rounded to bfloat16, products exact in float32, sums in float32."""
    a, b = draw(m, k), draw(k, n, seed=1)
    w = ch10.constant(b, "bfloat16")
    c = product(a, w)
    assert_is_product(c, to_bf16(a), to_bf16(b))
    for i in range(0, m, 7):
        assert same_bits(product(ch10.rows(a[i : i + 1]), w, num_threads=2)[0], c[i])
    (bytes_,) = ch10.layouts(w).values()
    columns = ch10.tile()["columns"]
    panels = -(-n // columns)
    assert bytes_ == 2 * (k + k % 2) * columns * (panels + -panels % 4)


def test_bfloat16_rounds_to_the_nearest_even():
    x = np.array([[1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8), np.inf, 2**-130, 3.4e38]], np.float32)
    rounded = ch10.forward(ch10.relu(ch10.constant(x, "bfloat16")))
    assert np.array_equal(rounded, np.maximum(to_bf16(x), 0))
    nan = np.array([[np.nan]], np.float32)
    assert np.isnan(ch10.forward(ch10.relu(ch10.constant(nan, "bfloat16")))).all()


def test_bfloat16_by_the_processor():
    ir = stage(ch10.matmul(draw(8, 32), ch10.constant(draw(32, 32), "bfloat16")), "optimized", "ch10-kernel")
    uses = ir.count("x86vector.avx512.dot")
    assert (uses > 0) == ("AVX512" in ch10.tile(16)["bfloat16"])


def test_an_unknown_dtype():
    with pytest.raises(ValueError, match="dtype: expected 'float32' or 'bfloat16', got 'int8'"):
        ch10.constant(draw(2, 2), "int8")
    with pytest.raises(TypeError, match="array: "):
        ch10.constant(draw(2, 2).astype(np.float64))
    with pytest.raises(ValueError, match="array: "):
        ch10.rows(draw(2))


# --- memory ---------------------------------------------------------------------------------------------


def test_results_live_as_long_as_they_are_used():
    a, b = draw(40, 40), draw(40, 40, seed=1)
    views = [product(a, b)[3:5, ::2] for _ in range(50)]
    gc.collect()
    expected = product(a, b)[3:5, ::2]
    assert all(np.array_equal(view, expected) for view in views)


def test_calls_leave_no_memory():
    growth = memory_growth_kb(
        "import ch10; x, w = ch10.rows(np.ones((21, 130), np.float32)), ch10.constant(np.ones((130, 70), np.float32))",
        "ch10.forward(ch10.matmul(x, w), num_threads=1 + _ % 2)",
        calls=5000,
    )
    assert growth < 2048


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
