"""exp lowered in three ways: how exact each is, what it becomes, and why the order of two passes matters."""

import collections
import pathlib
import platform
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch6
from ch6_testing import INF, LANES, LOWERINGS, NAN, PASSES, TINY, ULP, mlir_opt, scores

# --- exp, in units in the last place -----------------------------------------------------------------


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


def test_exp_has_the_same_bits_in_a_vector_and_alone():
    x = scores(100, scale=30.0)
    assert np.array_equal(ch6.exp(x), [ch6.exp(x[i : i + 1])[0] for i in range(x.size)])


# --- what each lowering makes of it -------------------------------------------------------------------


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


# --- the order of the two math passes ----------------------------------------------------------------


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


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
