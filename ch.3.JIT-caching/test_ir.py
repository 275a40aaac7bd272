"""The IR of chapter 3: what differs between one function for all shapes and one for each, and every stage of it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

import ch3
from ch3_testing import CAPACITY


def test_the_two_functions_differ_in_their_types_only():
    dynamic = r"memref<\?x\?xf32, strided<\[\?, \?\], offset: \?>>"
    chapters.filecheck(
        ch3.ir(),
        f"""
        CHECK: func.func @gemm(%[[A:.*]]: {{{{{dynamic}}}}}, %[[B:.*]]: {{{{{dynamic}}}}}, %[[C:.*]]: {{{{{dynamic}}}}})
        CHECK:   linalg.fill {{{{.*}}}} outs(%[[C]]
        CHECK:   linalg.matmul ins(%[[A]], %[[B]] : {{{{.*}}}} outs(%[[C]]
        """,
    )
    chapters.filecheck(
        ch3.ir((8, 32, 16)),
        """
        CHECK: func.func @gemm(%[[A:.*]]: memref<8x32xf32>, %[[B:.*]]: memref<32x16xf32>, %[[C:.*]]: memref<8x16xf32>)
        CHECK:   linalg.fill {{.*}} outs(%[[C]] : memref<8x16xf32>)
        CHECK:   linalg.matmul ins(%[[A]], %[[B]] : memref<8x32xf32>, memref<32x16xf32>) outs(%[[C]]
        """,
    )


def test_sizes_are_arguments_in_one_and_constants_in_the_other():
    loops = dict(ch3.stages())["convert-linalg-to-loops"]
    chapters.filecheck(
        loops,
        """
        CHECK-DAG:   %[[M:.*]] = memref.dim %arg0, %c0
        CHECK-DAG:   %[[K:.*]] = memref.dim %arg0, %c1
        CHECK-DAG:   %[[N:.*]] = memref.dim %arg1, %c1
        CHECK:       scf.for {{.*}} to %[[M]]
        CHECK-NEXT:    scf.for {{.*}} to %[[N]]
        CHECK-NEXT:      scf.for {{.*}} to %[[K]]
        """,
    )
    fixed = dict(ch3.stages((8, 32, 16)))["convert-linalg-to-loops"]
    assert "memref.dim" not in fixed and "to %c32" in fixed


@pytest.mark.parametrize("shape", [None, (8, 32, 16)])
def test_stages_are_all_there_in_order(shape):
    stages = ch3.stages(shape)
    assert stages[0] == ("input", ch3.ir(shape))
    assert [name for name, _ in stages[1:]] == [
        "convert-linalg-to-loops",
        "convert-scf-to-cf",
        "convert-arith-to-llvm",
        "finalize-memref-to-llvm",
        "convert-func-to-llvm",
        "convert-cf-to-llvm",
        "reconcile-unrealized-casts",
        "canonicalize",
        "cse",
    ]
    assert "llvm.func @gemm" in stages[-1][1] and "linalg" not in stages[-1][1]
    assert ch3.stages(shape, ch3.ir(shape)) == stages
    assert "define void @gemm(" in ch3.llvm_ir(shape) and "gemm:" in ch3.assembly(shape)


def test_looking_at_ir_is_not_cached():
    ch3.stages(), ch3.assembly(), ch3.llvm_ir()
    assert ch3.cache_info() == (0, 0, 0.0, 0, CAPACITY)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
