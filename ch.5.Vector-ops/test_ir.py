"""The IR of chapter 5: the three kernels, stage by stage, down to this machine's instructions and others'."""

import pathlib
import platform
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch5
from ch5_testing import A37, B37, HERE, assert_same_bits, every_kernel, expected, random_arrays

PASSES = [
    "convert-linalg-to-loops",
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


# --- the IR ------------------------------------------------------------------------------------------


def test_ir_of_the_loop():
    chapters.filecheck(
        ch5.ir(),
        """
        CHECK:      func.func @saxpy(%[[ALPHA:.*]]: f32,
        CHECK-SAME:   %[[A:.*]]: memref<?xf32>, %[[B:.*]]: memref<?xf32>, %[[C:.*]]: memref<?xf32>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-DAG:    %[[ONE:.*]] = arith.constant 1 : index
        CHECK-DAG:    %[[ZERO:.*]] = arith.constant 0 : index
        CHECK:        %[[N:.*]] = memref.dim %[[A]], %[[ZERO]] : memref<?xf32>
        CHECK-NEXT:   scf.for %[[I:.*]] = %[[ZERO]] to %[[N]] step %[[ONE]] {
        CHECK-NEXT:     %[[X:.*]] = memref.load %[[A]][%[[I]]]
        CHECK-NEXT:     %[[Y:.*]] = memref.load %[[B]][%[[I]]]
        CHECK-NEXT:     %[[P:.*]] = arith.mulf %[[ALPHA]], %[[X]] : f32
        CHECK-NEXT:     %[[S:.*]] = arith.addf %[[P]], %[[Y]] : f32
        CHECK-NEXT:     memref.store %[[S]], %[[C]][%[[I]]]
        CHECK-NEXT:   }
        CHECK-NEXT:   return
        """,
    )


def test_ir_of_linalg():
    chapters.filecheck(
        ch5.ir("linalg"),
        """
        CHECK-DAG:  #[[SAME:.*]] = affine_map<(d0) -> ()>
        CHECK-DAG:  #[[EACH:.*]] = affine_map<(d0) -> (d0)>
        CHECK:      linalg.generic
        CHECK-SAME:   indexing_maps = [#[[SAME]], #[[EACH]], #[[EACH]], #[[EACH]]]
        CHECK-SAME:   iterator_types = ["parallel"]
        CHECK-SAME:   ins(%arg0, %arg1, %arg2 : f32, memref<?xf32>, memref<?xf32>) outs(%arg3 : memref<?xf32>)
        CHECK-NEXT: ^bb0(%[[ALPHA:.*]]: f32, %[[X:.*]]: f32, %[[Y:.*]]: f32, %{{.*}}: f32):
        CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[ALPHA]], %[[X]] : f32
        CHECK-NEXT:   %[[S:.*]] = arith.addf %[[P]], %[[Y]] : f32
        CHECK-NEXT:   linalg.yield %[[S]] : f32
        """,
        "--implicit-check-not=scf",
    )


def test_ir_of_vectors():
    chapters.filecheck(
        ch5.ir("vector"),
        """
        CHECK-DAG:  %[[ZERO:.*]] = arith.constant 0 : index
        CHECK-DAG:  %[[SIZE:.*]] = arith.constant 16 : index
        CHECK:      %[[N:.*]] = memref.dim %arg1, %[[ZERO]]
        CHECK-NEXT: %[[REST:.*]] = arith.remui %[[N]], %[[SIZE]] : index
        CHECK-NEXT: %[[FULL:.*]] = arith.subi %[[N]], %[[REST]] : index
        CHECK-NEXT: %[[ALPHAS:.*]] = vector.broadcast %arg0 : f32 to vector<16xf32>
        CHECK-NEXT: %[[PADDING:.*]] = arith.constant 0.000000e+00 : f32
        CHECK-NEXT: scf.for %[[I:.*]] = %[[ZERO]] to %[[FULL]] step %[[SIZE]] {
        CHECK-NEXT:   %[[X:.*]] = vector.transfer_read %arg1[%[[I]]], %[[PADDING]] {in_bounds = [true]}
        CHECK-NEXT:   %[[Y:.*]] = vector.transfer_read %arg2[%[[I]]], %[[PADDING]] {in_bounds = [true]}
        CHECK-NEXT:   %[[P:.*]] = arith.mulf %[[ALPHAS]], %[[X]] : vector<16xf32>
        CHECK-NEXT:   %[[S:.*]] = arith.addf %[[P]], %[[Y]] : vector<16xf32>
        CHECK-NEXT:   vector.transfer_write %[[S]], %arg3[%[[I]]] {in_bounds = [true]}
        CHECK-NEXT: }
        CHECK-NEXT: %[[MASK:.*]] = vector.create_mask %[[REST]] : vector<16xi1>
        CHECK-NEXT: %[[X:.*]] = vector.transfer_read %arg1[%[[FULL]]], %[[PADDING]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: %[[Y:.*]] = vector.transfer_read %arg2[%[[FULL]]], %[[PADDING]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: %[[P:.*]] = arith.mulf %[[ALPHAS]], %[[X]] : vector<16xf32>
        CHECK-NEXT: %[[S:.*]] = arith.addf %[[P]], %[[Y]] : vector<16xf32>
        CHECK-NEXT: vector.transfer_write %[[S]], %arg3[%[[FULL]]], %[[MASK]] {in_bounds = [true]}
        CHECK-NEXT: return
        """,
        "--implicit-check-not=memref.load",
    )


def test_linalg_becomes_the_loop_letter_for_letter():
    assert dict(ch5.stages("linalg"))["convert-linalg-to-loops"] == ch5.ir("scf")
    assert ch5.stages("linalg")[2:] == ch5.stages("scf")[2:]
    assert ch5.llvm_ir("linalg") == ch5.llvm_ir("scf")
    assert ch5.assembly("linalg") == ch5.assembly("scf")


@every_kernel
def test_stages_are_all_there_in_order(kernel):
    stages = ch5.stages(kernel)
    assert stages[0] == ("input", ch5.ir(kernel))
    assert [name for name, _ in stages[1:]] == PASSES


@every_kernel
def test_mlir_opt_agrees_with_every_stage(kernel):
    for n, (name, ir) in enumerate(ch5.stages(kernel)):
        command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *(f"--{p}" for p in PASSES[:n])]
        done = subprocess.run(command, input=ch5.ir(kernel), capture_output=True, text=True)
        assert done.stdout.strip() == ir.strip(), f"{name}: {done.stderr}"


@every_kernel
def test_what_each_stage_no_longer_has(kernel):
    gone = {
        "convert-linalg-to-loops": ["linalg."],
        "convert-scf-to-cf": ["linalg.", "scf."],
        "convert-vector-to-llvm": ["linalg.", "scf.", "vector.transfer", "vector.create_mask"],
        "finalize-memref-to-llvm": ["linalg.", "scf.", "vector.transfer", "memref.dim", "memref.load"],
        "convert-arith-to-llvm": ["linalg.", "scf.", "vector.transfer", "memref.dim", "arith."],
        "cse": ["linalg.", "scf.", "vector.", "memref", "arith.", "func.func", " cf.", "builtin.", "alloca"],
    }
    stages = dict(ch5.stages(kernel))
    for name, texts in gone.items():
        for text in texts:
            assert text not in stages[name].replace("llvm.func", ""), f"{text} after {name}"


def test_transfers_become_loads_and_masked_loads():
    chapters.filecheck(
        ch5.stages("vector")[-1][1],
        """
        CHECK:     llvm.func @saxpy(%arg0: f32, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: i64
        CHECK:     llvm.urem %arg4
        CHECK:     llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
        CHECK:     llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> vector<16xf32>
        CHECK:     llvm.fmul %{{.*}} : vector<16xf32>
        CHECK:     llvm.fadd %{{.*}} : vector<16xf32>
        CHECK:     llvm.store %{{.*}} {alignment = 4 : i64} : vector<16xf32>
        CHECK:     %[[MASK:.*]] = llvm.icmp "sgt" %{{.*}}, %{{.*}} : vector<16xi32>
        CHECK:     llvm.intr.masked.load %{{.*}}, %[[MASK]]
        CHECK:     llvm.intr.masked.load %{{.*}}, %[[MASK]]
        CHECK:     llvm.intr.masked.store %{{.*}}, %{{.*}}, %[[MASK]]
        CHECK:     llvm.return
        CHECK:     llvm.func @_mlir_ciface_saxpy(%arg0: f32, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr)
        """,
    )


def test_llvm_makes_vectors_of_the_loop_where_it_finds_no_overlap():
    chapters.filecheck(
        ch5.llvm_ir("scf"),
        """
        CHECK-LABEL: define void @saxpy(
        CHECK:       vector.memcheck:
        CHECK:       vector.body:
        CHECK:         load <[[N:[a-z0-9 ]+]] x float>
        CHECK:         fmul <[[N]] x float>
        CHECK:         fadd <[[N]] x float>
        CHECK:         store <[[N]] x float>
        CHECK:         fmul float
        """,
    )


def test_llvm_leaves_our_vectors_as_they_are():
    chapters.filecheck(
        ch5.llvm_ir("vector"),
        """
        CHECK-LABEL: define void @saxpy(
        CHECK:         load <16 x float>
        CHECK:         fmul <16 x float>
        CHECK:         fadd <16 x float>
        CHECK:         store <16 x float>
        CHECK:         call <16 x float> @llvm.masked.load
        CHECK:         call void @llvm.masked.store
        CHECK-NEXT:    ret void
        """,
        "--implicit-check-not=vector.memcheck",
        "--implicit-check-not=fmul float",
    )


@every_kernel
def test_assembly_is_this_machines(kernel):
    text = ch5.assembly(kernel)
    chapters.filecheck(
        text, "CHECK-LABEL: saxpy:\nCHECK: ret\nCHECK-LABEL: _mlir_ciface_saxpy:\nCHECK: ret\n"
    )
    packed = {"x86_64": r"\bv?mulps\b", "aarch64": r"\bfmul\s+(v\d+\.4s|z\d+\.s)"}
    if platform.machine() in packed:  # every one of these has vectors of at least four floats
        assert re.search(packed[platform.machine()], text)


@pytest.mark.parametrize(
    "cpu, masked, num_masked",
    [
        ("x86-64-v4", r"vmovups.*\{%k\d\}", 3),  # AVX-512: a register for masks
        ("x86-64-v3", r"vmaskmovps", 6),  # AVX2: the mask in a vector register, half of it at a time
        ("x86-64", r"mask", 0),  # SSE2 has nothing of the kind: it tests and jumps, 16 times for each array
    ],
)
def test_what_a_mask_becomes(cpu, masked, num_masked):
    text = chapters.run_script(HERE / "for_machine.py").assembly("vector", cpu)
    assert len(re.findall(masked, text)) == num_masked, text
    num_jumps = len(re.findall(r"^\s+j(?!mp)\w+\s", text, re.M))
    assert num_jumps < 10 if num_masked else num_jumps >= 3 * 16


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["vector", "nosuch"], "opt: 'nosuch' is not a recognized processor for this target"),
        (["avx512", "znver4"], "kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'"),
        (["vector"], "Prints the assembly of a kernel"),
    ],
)
def test_for_machine_refuses_in_a_sentence(arguments, sentence):
    done = subprocess.run(
        [sys.executable, "for_machine.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith(sentence), done.stdout + done.stderr


# --- the reader's IR ---------------------------------------------------------------------------------


@every_kernel
def test_ir_of_the_reader_takes_the_same_way(kernel):
    A, B = random_arrays(37)
    ir = ch5.ir(kernel)
    assert_same_bits(ch5.run(ir, 0.3, A, B), expected(0.3, A, B))
    assert ch5.stages(ir=ir) == ch5.stages(kernel)
    assert ch5.llvm_ir(ir=ir) == ch5.llvm_ir(kernel)
    assert ch5.assembly(ir=ir) == ch5.assembly(kernel)
    difference = ir.replace("arith.addf", "arith.subf")
    assert np.array_equal(ch5.run(difference, 0.3, A, B), np.float32(0.3) * A - B)
    assert ch5.measure(1, 0.3, A, B, None, ir=difference) > 0


def changed(old, new):
    ir = ch5.ir("vector")
    assert old in ir
    return ir.replace(old, new)


@pytest.mark.parametrize(
    "ir, sentences",
    [
        (
            changed("vector<16xi1>", "vector<8xi1>"),
            [
                "the IR could not be read",
                "expects different type than prior uses: 'vector<16xi1>' vs 'vector<8xi1>'",
            ],
        ),
        (
            changed("@saxpy(%arg0: f32", "@saxpy(%arg0: f64").replace(
                "broadcast %arg0 : f32", "broadcast %arg0 : f64"
            ),
            ["'vector.broadcast' op"],
        ),
        (changed("@saxpy", "@axpy"), ["the IR defines no func.func @saxpy"]),
        (
            "func.func @saxpy(%a: f64, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) { return }",
            [
                "@saxpy: expected the type (f32, memref<?xf32>, memref<?xf32>, memref<?xf32>) -> (), "
                "got (f64, memref<?xf32>, memref<?xf32>, memref<?xf32>) -> ()"
            ],
        ),
        (  # no pass of this chapter takes a gather of rows apart
            changed(
                "    return",
                "%i = arith.constant 0 : index\n%v = math.sqrt %2 : vector<16xf32>\n"
                "vector.store %v, %arg3[%i] : memref<?xf32>, vector<16xf32>\nreturn",
            ),
            ["ialect"],
        ),
    ],
)
def test_a_failed_compile_says_what_mlir_says(ir, sentences, capfd):
    with pytest.raises(ch5.CompileError) as raised:
        ch5.run(ir, 0.3, A37, B37)
    for sentence in sentences:
        assert sentence in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
