"""The IR of chapter 11: every stage of it, and what it must be like to compile in reasonable time."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch11
from ch11_testing import M, draw

PASSES = [
    "ch11-decompose",
    "ch11-to-linalg",
    "ch11-matmul-loop-order",
    "ch11-approximate-math",
    "canonicalize",
    "eliminate-empty-tensors",
    "one-shot-bufferize",
]


def test_ir():
    q = ch11.Tensor(draw(9, 32))
    chapters.filecheck(
        ch11.ir(ch11.softmax(ch11.attention(q, q, draw(9, 16), 4, causal=True))),
        """
        CHECK:      func.func @forward(
        CHECK-SAME:   %[[Q:.*]]: tensor<9x32xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[V:.*]]: tensor<9x16xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[OUT:.*]]: memref<9x16xf32>)
        CHECK-SAME:   llvm.emit_c_interface
        CHECK-NEXT:   %[[A:.*]] = transformer.attention %[[Q]], %[[Q]], %[[V]] heads 4 causal
        CHECK-NEXT:   %[[S:.*]] = transformer.softmax %[[A]] : tensor<9x16xf32>
        CHECK-NEXT:   bufferization.materialize_in_destination %[[S]] in restrict writable %[[OUT]]
        CHECK-NEXT:   return
        """,
    )


def test_stages():
    q = draw(9, 32)
    t = ch11.attention(q, q, q, 4)
    stages = ch11.stages(t)
    names = [name for name, _ in stages]
    assert stages[0] == ("input", ch11.ir(t))
    assert names[1 : len(PASSES) + 1] == PASSES
    assert names[-1] == "reconcile-unrealized-casts"
    ir = dict(stages)
    assert "transformer.attention" not in ir["ch11-decompose"] and "transformer." not in ir["ch11-to-linalg"]
    # Every op of the result belongs to the llvm dialect.
    ops = re.findall(r"^\s*(?:%\S+(?:, %\S+)* = )?\"?([a-z_]+)\.", stages[-1][1], re.M)
    assert set(ops) == {"llvm"}


def test_every_pass_is_known_to_the_tool():
    passes = [name for name, _ in ch11.stages(ch11.softmax(M))[1:]]
    done = subprocess.run(["ch11-opt", "--help"], env=chapters.environment(), capture_output=True, text=True)
    known = set(re.findall(r"^\s+--([\w-]+)", done.stdout, re.M))
    assert set(passes) <= known


def test_products_and_exp_become_vectors():
    assert re.search(r"fmul <\d+ x float>", ch11.llvm_ir(ch11.matmul(draw(32, 64), draw(64, 128))))
    ir = ch11.llvm_ir(ch11.softmax(draw(8, 256)))
    assert re.search(r"call <\d+ x float> @llvm\.fma", ir) and "expf" not in ir


def test_equal_kernels_are_one_function():
    def kernels(products):
        x = ch11.Tensor(draw(8, 8))
        for _ in range(products):
            x = x @ draw(8, 8)
        return len(re.findall(r"func private @kernel", dict(ch11.stages(x))["ch11-outline-kernels"]))

    # The last product writes to the output, but through the same types: the same kernels.
    assert kernels(2) == kernels(9) == 2  # fill and product


def test_assembly():
    text = ch11.assembly(ch11.matmul(M, draw(4, 5)))
    assert "forward:" in text and "ret" in text


def test_kernels_stay_functions():
    """LLVM would inline a function that is called once, and all loops would be in one function again."""
    ir = ch11.llvm_ir(ch11.softmax(M))
    assert len(re.findall(r"call .*@kernel_", ir)) == 6  # two fills, maximum, exp, sum, quotient


def test_a_long_expression_compiles_in_reasonable_time(empty_cache):
    x = ch11.Tensor(np.ones(4, np.float32))
    t = x
    for _ in range(300):
        t = t + x
    assert np.array_equal(t.numpy(), np.full(4, 301, np.float32))
    # About a second. With the loops in one function, or CSE before bufferization, it would be minutes.
    assert ch11.cache_info().compile_seconds < 30


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
