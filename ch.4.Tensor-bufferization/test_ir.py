"""The IR of chapter 4: what each variant's tensors become, stage by stage, and IR of the reader's."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import assert_is_product

import ch4
from ch4_testing import COUNTS, GOOD_A, GOOD_B, count, every_variant, random_arrays

DEALLOCATION = [
    "expand-realloc",
    "canonicalize",
    "ownership-based-buffer-deallocation",
    "canonicalize",
    "buffer-deallocation-simplification",
    "bufferization-lower-deallocations",
    "cse",
    "canonicalize",
]
TO_LLVM = [
    "convert-linalg-to-loops",
    "convert-scf-to-cf",
    "convert-bufferization-to-memref",
    "expand-strided-metadata",
    "lower-affine",
    "convert-arith-to-llvm",
    "finalize-memref-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]
BUFFERIZATION = {
    "naive": ["one-shot-bufferize", "cse", "canonicalize"],
    "out_parameter": ["one-shot-bufferize", "buffer-results-to-out-params", "cse", "canonicalize"],
    "destination": ["eliminate-empty-tensors", "one-shot-bufferize", "cse", "canonicalize"],
}


# --- from tensors to memrefs, and on ------------------------------------------------------------------


def test_tensor_ir_is_values_only():
    body = """
        CHECK:         %[[M:.*]] = tensor.dim %[[A]], %c0
        CHECK:         %[[N:.*]] = tensor.dim %[[B]], %c1
        CHECK:         %[[EMPTY:.*]] = tensor.empty(%[[M]], %[[N]]) : tensor<?x?xf32>
        CHECK:         %[[ZEROS:.*]] = linalg.fill ins(%{{.*}} : f32) outs(%[[EMPTY]] : tensor<?x?xf32>)
        CHECK-NEXT:    %[[C:.*]] = linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[ZEROS]] : tensor<?x?xf32>)
        """
    for variant in ("naive", "out_parameter"):
        chapters.filecheck(
            ch4.tensor_ir(variant),
            "CHECK: func.func @gemm(%[[A:.*]]: tensor<?x?xf32>, %[[B:.*]]: tensor<?x?xf32>) -> tensor<?x?xf32>"
            + body
            + "CHECK-NEXT: return %[[C]] : tensor<?x?xf32>",
            "--implicit-check-not=memref",
        )
    chapters.filecheck(
        ch4.tensor_ir(),
        "CHECK: func.func @gemm(%[[A:.*]]: tensor<?x?xf32>, %[[B:.*]]: tensor<?x?xf32>, "
        "%[[OUT:.*]]: memref<?x?xf32>)"
        + body
        + "CHECK-NEXT: bufferization.materialize_in_destination %[[C]] in restrict writable %[[OUT]]\n"
        + "CHECK-NEXT: return",
    )


def memref_stage(variant, **arguments):
    stages = ch4.stages(variant, **arguments)
    return stages[[name for name, _ in stages].index("convert-linalg-to-loops") - 1][1]


def test_naive_copies_before_each_write():
    chapters.filecheck(
        memref_stage("naive"),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<{{.*}}>, %[[B:.*]]: memref<{{.*}}>) -> memref<?x?xf32>
        CHECK: %[[FILLED:.*]] = memref.alloc
        CHECK: linalg.fill ins({{.*}}) outs(%[[FILLED]]
        CHECK: %[[C:.*]] = memref.alloc
        CHECK: memref.copy %[[FILLED]], %[[C]]
        CHECK: linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]]
        CHECK: memref.dealloc %[[FILLED]]
        CHECK: return %[[C]]
        """,
        "--implicit-check-not=tensor",
    )


def test_out_parameter_copies_the_result_at_the_end():
    chapters.filecheck(
        memref_stage("out_parameter"),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<{{.*}}>, %[[B:.*]]: memref<{{.*}}>, %[[OUT:.*]]: memref<?x?xf32>)
        CHECK: %[[C:.*]] = memref.alloc
        CHECK: linalg.fill ins({{.*}}) outs(%[[C]]
        CHECK: linalg.matmul ins(%[[A]], %[[B]] : {{.*}}) outs(%[[C]]
        CHECK: memref.copy %[[C]], %[[OUT]]
        CHECK: memref.dealloc %[[C]]
        CHECK-NEXT: return{{$}}
        """,
        "--implicit-check-not=tensor",
    )


def test_destination_is_what_chapter_2_wrote_by_hand():
    """But for C's layout: ch.2 knows no stride of C, here it is in C order."""
    import ch2

    any_strides = "memref<?x?xf32, strided<[?, ?], offset: ?>>"
    by_hand = ch2.ir().replace(f"%arg2: {any_strides}", "%arg2: memref<?x?xf32>")
    by_hand = by_hand.replace(f"outs(%arg2 : {any_strides})", "outs(%arg2 : memref<?x?xf32>)")
    assert memref_stage("destination") == by_hand


def test_without_elimination_a_destination_is_copied_to():
    """The mark `restrict` is what allows it; without it C is computed elsewhere and copied."""
    ir = ch4.ir().replace("in restrict writable", "in writable")
    counts = count.in_ir("destination", ir=ir)
    assert counts == {"alloc": 1, "copy": 1, "dealloc": 1}
    assert_is_product(ch4.run(ir, GOOD_A, GOOD_B), GOOD_A, GOOD_B)


@every_variant
@pytest.mark.parametrize("deallocate", [True, False])
def test_stages_are_all_there_in_order(variant, deallocate):
    stages = ch4.stages(variant, deallocate)
    assert stages[0] == ("input", ch4.ir(variant, deallocate)) == ("input", ch4.tensor_ir(variant))
    expected = BUFFERIZATION[variant] + (DEALLOCATION if deallocate else []) + TO_LLVM
    assert [name for name, _ in stages[1:]] == expected


OPTIONS = {
    "naive": ["--one-shot-bufferize=bufferize-function-boundaries copy-before-write"],
    "out_parameter": [
        "--one-shot-bufferize=bufferize-function-boundaries",
        "--buffer-results-to-out-params"
        + ("=modify-public-functions" if chapters.llvm_major() >= 22 else ""),
    ],
    "destination": ["--eliminate-empty-tensors", "--one-shot-bufferize=bufferize-function-boundaries"],
}


@every_variant
def test_mlir_opt_makes_the_same(variant):
    passes = OPTIONS[variant] + ["--cse", "--canonicalize", "--buffer-deallocation-pipeline"]
    command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *passes]
    done = subprocess.run(command, input=ch4.ir(variant), capture_output=True, text=True)
    assert done.stdout.strip() == memref_stage(variant).strip(), done.stderr


@every_variant
def test_the_last_stage_is_the_llvm_dialect(variant):
    alloc, _, dealloc = COUNTS[variant]
    last = ch4.stages(variant)[-1][1]
    calls = re.findall(r"llvm\.call @(_mlir_memref_to_llvm_\w+)", last)
    assert calls.count("_mlir_memref_to_llvm_alloc") == alloc
    assert calls.count("_mlir_memref_to_llvm_free") == dealloc
    assert "llvm.func @gemm(" in last and "llvm.func @_mlir_ciface_gemm(" in last
    for word in ("tensor", "memref.", "linalg.", "bufferization.", "builtin.", "func.func"):
        assert word not in last.replace("llvm.func", "")


def test_naive_hands_its_result_out_through_a_pointer():
    chapters.filecheck(
        ch4.stages("naive")[-1][1],
        "CHECK: llvm.func @_mlir_ciface_gemm(%[[RESULT:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)\n"
        "CHECK: %[[C:.*]] = llvm.call @gemm(\nCHECK: llvm.store %[[C]], %[[RESULT]]\n",
    )


@every_variant
def test_llvm_ir_and_assembly(variant):
    alloc, _, _ = COUNTS[variant]
    ir = ch4.llvm_ir(variant)
    assert (
        len(re.findall(r"call .*@_mlir_memref_to_llvm_alloc\(", ir)) >= alloc
    )  # in @gemm, also where inlined
    assert ("_mlir_memref_to_llvm_alloc" in ir) == bool(alloc)
    assert ("llvm.memcpy" in ir) == (COUNTS[variant][1] > 0)
    assert "gemm:" in ch4.assembly(variant)


@every_variant
def test_ir_of_the_reader_takes_the_same_way(variant):
    A, B = random_arrays()
    ir = ch4.ir(variant)
    assert np.array_equal(ch4.run(ir, A, B, variant), ch4.gemm(A, B))
    assert ch4.stages(variant, ir=ir) == ch4.stages(variant)
    assert ch4.llvm_ir(variant, ir=ir) == ch4.llvm_ir(variant)
    assert ch4.assembly(variant, ir=ir) == ch4.assembly(variant)


# --- what can go wrong -------------------------------------------------------------------------------


def test_returning_an_argument_is_refused_or_cloned():
    ir = (
        "func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>) -> tensor<?x?xf32> {\n"
        "  return %A : tensor<?x?xf32>\n}"
    )
    A, B = random_arrays()
    with pytest.raises(ValueError, match="gemm returned the memory of an argument"):
        ch4.run(ir, A, B, "naive", deallocate=False)
    C = ch4.run(ir, A, B, "naive")  # the deallocation pipeline makes a clone, which is the caller's
    assert np.array_equal(C, A) and not np.shares_memory(C, A)
    assert "bufferization.clone" in memref_stage("naive", ir=ir)


def returns_columns_of_a(first):
    """IR that copies columns `first` … of A, as many as B has, into C."""
    return f"""
        func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>, %C: memref<?x?xf32>) {{
          %c0 = arith.constant 0 : index
          %c1 = arith.constant 1 : index
          %M = tensor.dim %A, %c0 : tensor<?x?xf32>
          %N = tensor.dim %B, %c1 : tensor<?x?xf32>
          %S = tensor.extract_slice %A[0, {first}] [%M, %N] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
          bufferization.materialize_in_destination %S in restrict writable %C
              : (tensor<?x?xf32>, memref<?x?xf32>) -> ()
          return
        }}"""


@pytest.mark.parametrize("first", [0, 2])
def test_a_copy_from_any_strides_and_offset(first):
    ir = returns_columns_of_a(first)
    assert "@memrefCopy" in ch4.stages(ir=ir)[-1][1]
    plain, B = np.arange(63, dtype=np.float32).reshape(9, 7), np.ones((7, 4), np.float32)
    for A in (plain, np.repeat(plain, 2, axis=1)[:, ::2], plain.T.copy().T, plain[:0]):
        assert np.array_equal(ch4.run(ir, A, B), A[:, first : first + 4])


def test_a_returned_memref_may_be_a_part_of_its_allocation():
    """Offset and strides are those of the part, what is freed is the whole."""
    ir = ch4.ir("naive").replace(
        "    return %2",
        "%c2 = arith.constant 2 : index\n%half = arith.divui %dim, %c2 : index\n"
        "%s = tensor.extract_slice %2[1, 2] [%half, 3] [2, 1] : tensor<?x?xf32> to tensor<?x3xf32>\n"
        "%r = tensor.cast %s : tensor<?x3xf32> to tensor<?x?xf32>\n    return %r",
    )
    A, B = random_arrays()
    before = ch4.allocations()
    C = ch4.run(ir, A, B, "naive")
    assert C.strides == (2 * 4 * 7, 4) and np.array_equal(C, ch4.gemm(A, B)[1::2, 2:5])
    del C
    after = ch4.allocations()
    assert after.made - before.made == after.freed - before.freed == 2


def test_a_failed_compile_says_what_mlir_says(capfd):
    with pytest.raises(ch4.CompileError) as raised:
        ch4.run(ch4.ir().replace("linalg.matmul", "linalg.matmull"), GOOD_A, GOOD_B)
    assert "error: custom op 'linalg.matmull' is unknown" in str(raised.value)
    assert isinstance(raised.value, RuntimeError)
    assert capfd.readouterr() == ("", "")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
