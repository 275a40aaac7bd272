"""What chapter 6 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import collections
import functools
import pathlib
import platform
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import EPSILON, run_python, strided, ticks_during

import ch6
import ch6_softmax

HERE = pathlib.Path(__file__).resolve().parent
LOWERINGS = ["polynomial", "llvm", "libm"]
KERNELS = ["softmax", "scalar_softmax", "naive_softmax", "exp"]
LANES = 16
TAIL = [
    "convert-scf-to-cf",
    "convert-vector-to-llvm",
    "finalize-memref-to-llvm",
    "convert-arith-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]
PASSES = {
    "polynomial": ["ch6-approximate-math", "convert-math-to-llvm", "convert-math-to-libm", *TAIL],
    "llvm": ["convert-math-to-llvm", "convert-math-to-libm", *TAIL],
    "libm": ["convert-math-to-libm", "convert-math-to-llvm", *TAIL],
}
ULP = {"polynomial": 1.05, "llvm": 0.51, "libm": 0.51}  # of exp at x <= 0, which is all that softmax asks for
TINY = 2.0**-126  # the smallest normal float32


def scores(*shape, seed=0, scale=5.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def exact(x):
    """softmax in float64."""
    x = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
        return e / e.sum(axis=-1, keepdims=True)


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


# --- the result ---------------------------------------------------------------------------------------------


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


def bits(y):
    """The bytes of y, with one NaN for all (which of them comes out is not said)."""
    return np.where(np.isnan(y), np.float32(np.nan), y).tobytes()


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


# --- why the maximum ----------------------------------------------------------------------------------------


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


# --- rows of -inf, inf, NaN, one element, none --------------------------------------------------------------

INF, NAN = np.inf, np.nan


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


# --- exp, in units in the last place ------------------------------------------------------------------------


def ulps(x, lowering):
    """The distance of exp(x) from the exact value, in spacings of float32 around that."""
    right = np.exp(x.astype(np.float64))
    spacing = np.spacing(np.maximum(right, TINY).astype(np.float32)).astype(np.float64)
    return np.abs(ch6.exp(x, lowering=lowering) - right) / spacing


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_exp_in_ulp(lowering):
    x = np.linspace(-87.3, 0, 1_000_003).astype(np.float32)
    assert ulps(x, lowering).max() <= ULP[lowering]
    x = np.linspace(0, 88.7, 1_000_003).astype(np.float32)
    assert ulps(x, lowering).max() <= {"polynomial": 4.0, "llvm": 0.51, "libm": 0.51}[lowering]


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_exp_of_special_values(lowering):
    x = np.array([0, -0.0, INF, -INF, NAN, 88.8, -104, -1000, 1000], np.float32)
    y = ch6.exp(x, lowering=lowering)
    assert np.array_equal(y, np.array([1, 1, INF, 0, NAN, INF, 0, 0, INF], np.float32), equal_nan=True)


def test_the_polynomial_has_no_subnormal_results():
    """Below about -87.7 it is 0, where libm still goes on in steps of 2**-149."""
    x = np.linspace(-103, -87.7, 10_001).astype(np.float32)
    assert (ch6.exp(x) == 0).all()
    assert (ch6.exp(x, lowering="libm") > 0).all()


def test_llvm_and_libm_are_one_function():
    """LLVM has no code for exp of its own on this kind of machine: its intrinsic ends as a call of libm's expf."""
    x = np.concatenate([np.linspace(-110, 95, 100_003), [INF, -INF]]).astype(np.float32)
    assert np.array_equal(ch6.exp(x, lowering="llvm"), ch6.exp(x, lowering="libm"))
    x = scores(20, 333)
    assert np.array_equal(ch6.softmax(x, lowering="llvm"), ch6.softmax(x, lowering="libm"))


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


def test_exp_has_the_same_bits_in_a_vector_and_alone():
    x = scores(100, scale=30.0)
    assert np.array_equal(ch6.exp(x), [ch6.exp(x[i : i + 1])[0] for i in range(x.size)])


# --- the errors ---------------------------------------------------------------------------------------------

GOOD = scores(3, 20)


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


# --- the IR -------------------------------------------------------------------------------------------------


def test_the_naive_ir_carries_a_sum():
    chapters.filecheck(
        ch6.ir(kernel="naive_softmax"),
        """
        CHECK:      func.func @naive_softmax(
        CHECK-SAME:   %[[X:.*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>, %[[Y:.*]]: memref<?x?xf32>)
        CHECK:      scf.for %[[I:.*]] = %c0 to
        CHECK-NEXT:   %[[ZERO:.*]] = arith.constant 0.000000e+00
        CHECK-NEXT:   %[[SUM:.*]] = scf.for %[[J:.*]] = %c0 to %{{.*}} step %c1
        CHECK-SAME:     iter_args(%[[BEFORE:.*]] = %[[ZERO]]) -> (f32)
        CHECK-NEXT:     %[[x:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
        CHECK-NEXT:     %[[E:.*]] = math.exp %[[x]] : f32
        CHECK-NEXT:     memref.store %[[E]], %[[Y]][%[[I]], %[[J]]]
        CHECK-NEXT:     %[[AFTER:.*]] = arith.addf %[[BEFORE]], %[[E]] : f32
        CHECK-NEXT:     scf.yield %[[AFTER]] : f32
        CHECK:        scf.for
        CHECK:          arith.divf %{{.*}}, %[[SUM]] : f32
        """,
        "--implicit-check-not=maximumf",
    )


def test_the_scalar_ir_subtracts_a_maximum_that_keeps_nan():
    chapters.filecheck(
        ch6.ir(kernel="scalar_softmax"),
        """
        CHECK:      %[[LOWEST:.*]] = arith.constant 0xFF800000
        CHECK:      %[[MAX:.*]] = scf.for {{.*}} iter_args(%[[BEFORE:.*]] = %[[LOWEST]]) -> (f32)
        CHECK:        arith.maximumf %[[BEFORE]], %{{.*}} : f32
        CHECK:      scf.for {{.*}} iter_args
        CHECK:        %[[D:.*]] = arith.subf %{{.*}}, %[[MAX]]
        CHECK-NEXT:   math.exp %[[D]]
        """,
        "--implicit-check-not=maxnumf",
    )


def test_the_vector_ir_carries_sixteen_sums():
    chapters.filecheck(
        ch6.ir(),
        """
        CHECK:      %[[REST:.*]] = arith.remui %{{.*}}, %c16
        CHECK:      %[[FULL:.*]] = arith.subi %{{.*}}, %[[REST]]
        CHECK:      %[[MASK:.*]] = vector.create_mask %[[REST]] : vector<16xi1>
        CHECK:      scf.for
        CHECK:        scf.for {{.*}} iter_args({{.*}}) -> (f32)
        CHECK:          arith.maximumf
        CHECK:        %[[SUMS:.*]] = scf.for %{{.*}} = %c0 to %[[FULL]] step %c16 iter_args({{.*}}) -> (vector<16xf32>)
        CHECK-NEXT:     vector.transfer_read %{{.*}} {in_bounds = [true]}
        CHECK-NEXT:     arith.subf
        CHECK-NEXT:     math.exp %{{.*}} : vector<16xf32>
        CHECK-NEXT:     vector.transfer_write
        CHECK-NEXT:     arith.addf
        CHECK-NEXT:     scf.yield %{{.*}} : vector<16xf32>
        CHECK:        vector.transfer_read %{{.*}}, %[[MASK]]
        CHECK:        math.exp %{{.*}} : vector<16xf32>
        CHECK:        vector.transfer_write %{{.*}}, %[[MASK]]
        CHECK:        %[[ALL:.*]] = arith.addf %[[SUMS]]
        CHECK:        vector.reduction <add>, %[[ALL]] : vector<16xf32> into f32
        CHECK:        arith.divf %{{.*}} : f32
        """,
        "--implicit-check-not=fastmath",
    )


@pytest.mark.parametrize("lowering", LOWERINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_stages_are_all_there_in_order(kernel, lowering):
    stages = ch6.stages(lowering, kernel)
    assert stages[0] == ("input", ch6.ir(lowering, kernel))
    assert [name for name, _ in stages[1:]] == PASSES[lowering]
    last = stages[-1][1].replace("llvm.func", "")
    for gone in ("math.", "scf.", "vector.", "arith.", "memref.", "func.func", " cf.", "builtin."):
        assert gone not in last.replace("llvm.intr.vector.", ""), gone


def test_mlir_opt_agrees_with_every_stage_but_our_own_pass():
    for lowering in LOWERINGS:
        stages = ch6.stages(lowering)
        own = [name for name, _ in stages].index("ch6-approximate-math") if lowering == "polynomial" else 0
        before = stages[own][1]
        for n in (own + 2, len(stages) - 1):
            passes = [f"--{name}" for name, _ in stages[own + 1 : n + 1]]
            assert mlir_opt(before, *passes).strip() == stages[n][1].strip()


def mlir_opt(ir, *options):
    command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *options]
    done = subprocess.run(command, input=ir, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def calls(text):
    """How often each function is called in some IR."""
    return collections.Counter(re.findall(r"\bcall @(\w+)", text))


def test_the_polynomial_is_arithmetic():
    ir = dict(ch6.stages())["ch6-approximate-math"]
    chapters.filecheck(
        ir,
        """
        CHECK:              iter_args({{.*}}) -> (vector<16xf32>)
        CHECK:                math.fma {{.*}} : vector<16xf32>
        CHECK-NEXT:           math.floor
        CHECK-COUNT-8:        math.fma
        CHECK:                arith.shli
        CHECK-NEXT:           arith.bitcast {{.*}} : vector<16xi32> to vector<16xf32>
        CHECK:                scf.yield
        """,
        "--implicit-check-not=math.exp",
    )
    assert calls(ir) == {}
    assert not re.search(r"expf|fmaf|floorf", ch6.assembly())


def test_llvm_makes_an_intrinsic_and_libm_calls():
    llvm = ch6.stages("llvm")[-1][1]
    assert llvm.count("llvm.intr.exp(") == 2 and "vector<16xf32>" in llvm and calls(llvm) == {"softmax": 1}
    libm = ch6.stages("libm")[-1][1]
    assert calls(libm) == {"expf": 2 * LANES, "softmax": 1} and "llvm.intr.exp" not in libm
    assert "expf" in ch6.assembly("llvm") and "expf" in ch6.assembly("libm")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for x86 instructions")
def test_what_vectorizes_and_what_does_not():
    """The polynomial of a loop without a carried value: LLVM's vectors. With a carried sum: one element at a time.
    With a carried vector: ours."""

    def fma(kernel, lowering="polynomial"):
        return set(re.findall(r"\b(vfn?madd\d+[sp]s)\b", ch6.assembly(lowering, kernel)))

    if not fma("exp"):
        pytest.skip("a processor without fused multiply-add")
    assert any(name.endswith("ps") for name in fma("exp"))
    assert fma("scalar_softmax") and all(name.endswith("ss") for name in fma("scalar_softmax"))
    assert fma("softmax") and all(name.endswith("ps") for name in fma("softmax"))


# --- the order of the two math passes -----------------------------------------------------------------------


def test_the_first_of_the_two_passes_gets_what_both_know():
    ir = "func.func @f(%x: f32) -> f32 { %e = math.exp %x : f32  return %e : f32 }"
    llvm, libm = "--convert-math-to-llvm", "--convert-math-to-libm"
    assert "llvm.intr.exp" in mlir_opt(ir, llvm, libm) and not calls(mlir_opt(ir, llvm, libm))
    assert calls(mlir_opt(ir, libm, llvm)) == {"expf": 1} and "llvm.intr" not in mlir_opt(ir, libm, llvm)
    only_libm = ir.replace("math.exp", "math.erf")  # LLVM has no such intrinsic
    assert "math.erf" in mlir_opt(only_libm, llvm) and calls(mlir_opt(only_libm, llvm, libm)) == {"erff": 1}


def test_the_wrong_order_calls_a_function_for_each_multiplication():
    """Nothing fails, and the bits are the same."""
    wrong = mlir_opt(dict(ch6.stages())["ch6-approximate-math"], "--convert-math-to-libm")
    assert calls(wrong) == {"fmaf": 2 * 9 * LANES, "floorf": 2 * LANES}
    x = scores(3, 50)
    assert np.array_equal(ch6.run(wrong, x), ch6.softmax(x))
    assert "fmaf" in ch6.assembly(ir=wrong) and "fmaf" not in ch6.assembly()


def test_math_to_libm_comes_before_func_to_llvm():
    """It declares what it calls as func.func: after the conversion of func nobody converts that."""
    passes = [f"--{name}" for name in PASSES["libm"]]
    assert "llvm.func @expf" in mlir_opt(ch6.ir(), *passes)
    late = passes[1:]
    late.insert(late.index("--convert-func-to-llvm") + 1, passes[0])
    del late[late.index("--convert-math-to-llvm")]
    assert "func.func private @expf" in mlir_opt(ch6.ir(), *late)


# --- IR of the reader ---------------------------------------------------------------------------------------


def test_ir_of_the_reader_takes_the_same_way():
    x = scores(3, 50)
    for lowering, kernel in zip(LOWERINGS, KERNELS):
        ir = ch6.ir(kernel=kernel)
        assert np.array_equal(ch6.run(ir, x, lowering, kernel), getattr(ch6, kernel)(x, lowering))
        assert ch6.stages(lowering, kernel, ir) == ch6.stages(lowering, kernel)
        assert ch6.llvm_ir(lowering, kernel, ir) == ch6.llvm_ir(lowering, kernel)
        assert ch6.assembly(lowering, kernel, ir) == ch6.assembly(lowering, kernel)
    powers_of_two = ch6.ir().replace("math.exp", "math.exp2")
    e = np.exp2((x - x.max(axis=1, keepdims=True)).astype(np.float64))
    assert np.allclose(ch6.run(powers_of_two, x, "llvm"), e / e.sum(axis=1, keepdims=True), rtol=1e-5)


def test_maxnum_gives_the_same_softmax():
    """maxnumf drops NaN where maximumf keeps it. Here the sum finds it again; in a bare maximum it is lost."""
    ir = ch6.ir().replace("arith.maximumf", "arith.maxnumf")
    for row in ([1, NAN, 3], [NAN], [-INF, NAN], [1, 2, 3]):
        x = np.array(row, np.float32)
        assert bits(ch6.run(ir, x)) == bits(ch6.softmax(x))
    largest = """
        func.func @softmax(%X: memref<?x?xf32, strided<[?, ?], offset: ?>>, %Y: memref<?x?xf32>) {
          %c0 = arith.constant 0 : index
          %c1 = arith.constant 1 : index
          %c3 = arith.constant 3 : index
          %lowest = arith.constant 0xFF800000 : f32
          %max = scf.for %j = %c0 to %c3 step %c1 iter_args(%before = %lowest) -> f32 {
            %x = memref.load %X[%c0, %j] : memref<?x?xf32, strided<[?, ?], offset: ?>>
            %after = arith.maximumf %before, %x : f32
            scf.yield %after : f32
          }
          memref.store %max, %Y[%c0, %c0] : memref<?x?xf32>
          return
        }"""
    x = np.array([1, NAN, 3], np.float32)
    assert np.isnan(ch6.run(largest, x)[0])
    assert ch6.run(largest.replace("maximumf", "maxnumf"), x)[0] == 3


@pytest.mark.parametrize(
    "ir, sentences",
    [
        ("func.func @softmax() { return }", ["@softmax: expected the type (memref<?x?xf32, strided<"]),
        ("func.func private @soft()", ["the IR defines no func.func @softmax"]),
        ("nonsense", ["the IR could not be read", "ir:1:1: error: custom op 'nonsense' is unknown"]),
    ],
)
def test_a_failed_compile_says_what_mlir_says(ir, sentences, capfd):
    with pytest.raises(ch6.CompileError) as raised:
        ch6.run(ir, GOOD)
    for sentence in sentences:
        assert sentence in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")


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


# --- threads and memory -------------------------------------------------------------------------------------


def test_compiles_once_for_each_lowering():
    printed = run_python("""
        import numpy as np, ch6
        for n in (1, 5, 100):
            for lowering in ("polynomial", "llvm", "libm"):
                ch6.softmax(np.ones(n, np.float32), lowering=lowering)
                ch6.softmax(np.ones((3, n), np.float32), lowering)
        info = ch6.cache_info()
        print(info.misses, info.hits)
        ch6.clear_cache()
        print(ch6.cache_info().size, ch6.softmax(np.ones(4, np.float32))[0])
    """)
    assert printed == "3 15\n0 0.25\n"


def test_eight_threads_may_make_the_first_calls_together():
    run_python("""
        import threading, numpy as np, ch6
        x = np.linspace(-5, 5, 100).astype(np.float32)
        right = np.exp(x.astype(np.float64)); right /= right.sum()
        ready, wrong = threading.Barrier(8), []
        def work(k):
            ready.wait()
            first = {}
            for i in range(300):
                lowering = ("polynomial", "llvm", "libm")[(i + k) % 3]
                y = ch6.softmax(x, lowering=lowering)
                if not np.allclose(y, right, rtol=1e-5) or (first.setdefault(lowering, y) != y).any():
                    wrong.append((k, i))
        threads = [threading.Thread(target=work, args=[k]) for k in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert not wrong, wrong
    """)


def test_other_threads_run_during_a_call():
    x = np.ones((64, 30_000), np.float32)
    assert ticks_during(lambda: ch6.scalar_softmax(x, lowering="libm")) > 20


def test_ten_thousand_calls_leave_no_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch6
        x = np.ones((10, 50), np.float32)
        def calls(n):
            for _ in range(n):
                ch6.softmax(x)
                ch6.softmax(x[3], lowering="libm")
                ch6.softmax(x[::-1, ::-1], lowering="llvm")
                for bad in (x[None], None):
                    try:
                        ch6.softmax(bad)
                    except (TypeError, ValueError):
                        pass
        calls(1000)
        before = chapters.resident_kb()
        calls(10_000)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 1024  # the views made here, kept, would be twice that


def test_compiling_again_and_again_leaves_little_memory():
    growth_kb = run_python("""
        import chapters, numpy as np, ch6
        x = np.ones(50, np.float32)
        def compiles(n):
            for _ in range(n):
                ch6.clear_cache()
                ch6.naive_softmax(x)
                try:
                    ch6.stages(ir="nonsense")
                except ch6.CompileError:
                    pass
        compiles(5)
        before = chapters.resident_kb()
        compiles(20)
        print(chapters.resident_kb() - before)
    """)
    assert int(growth_kb) < 1024  # one context that stayed would be more


# --- what goes wrong, and the exercises ---------------------------------------------------------------------


def run_script(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True)


@pytest.mark.parametrize(
    "case, sentences",
    [
        ("lowering", ["ValueError: lowering: expected 'llvm', 'libm' or 'polynomial', got 'fast'"]),
        ("rank", ["ValueError: x: expected shape (any,) or (any, any), got (2, 3, 4)"]),
        (
            "order",
            ["[1.     0.7071 0.5774]", "CompileError: the module calls 'rsqrtf', which nothing here defines"],
        ),
        (
            "carried",
            ["CompileError: the IR could not be read", "'scf.for' op", "scf.yield", "has 0 operands"],
        ),
        ("late", ["CompileError: ", "for dialect for op: func.func", "func.func private @expf"]),
    ],
)
def test_what_breaks_says_so(case, sentences):
    done = run_script("broken.py", case)
    assert done.returncode == 0, done.stdout + done.stderr
    for sentence in sentences:
        assert sentence in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_online.mlir"], 0),
        (["2", "exercises/solutions/2_log_softmax.mlir"], 0),
        (["3", "exercises/solutions/3_causal.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    done = run_script("exercises/check.py", *arguments)
    assert done.returncode == status, done.stdout + done.stderr


def test_what_the_benchmark_and_the_plot_measure():
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch6.py")
    x = bench.rows(1000)
    assert set(bench.ours(x)) == {(kernel, lowering) for kernel in KERNELS for lowering in LOWERINGS}
    y = ch6.softmax(x)
    assert np.array_equal(ch6.run(bench.in_the_wrong_order(), x), y)
    assert np.array_equal(ch6.run(bench.with_maxnum(), x), y)
    assert np.allclose(ch6.run(bench.reassociated(), x, kernel="scalar_softmax"), y, rtol=1e-5)
    assert bench.reassociated().count("fastmath<reassoc>") == 1
    assert np.allclose(bench.numpy_softmax(x), y, rtol=1e-5)
    assert bench.ulp_error(bench.sweep(-1, 0, 1000), "libm").max() <= 0.51


def test_show_prints_the_lowering_and_the_kernel_asked_for():
    done = run_script("show.py", "--lowering", "libm", "--kernel", "exp", "stages", "convert-math-to-libm")
    assert "func.func @exp(" in done.stdout and "call @expf" in done.stdout
    passes = run_script("show.py", "passes").stdout.split()
    assert passes == PASSES["polynomial"]


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
