"""The IR of chapter 6: three kernels of softmax, every stage, and IR of the reader's."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch6
from ch6_testing import GOOD, INF, KERNELS, LOWERINGS, NAN, PASSES, bits, mlir_opt, scores

# --- the IR ------------------------------------------------------------------------------------------


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


# --- IR of the reader --------------------------------------------------------------------------------


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


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
