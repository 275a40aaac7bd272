"""The IR of chapter 7: what a graph becomes, what fusion makes of it, and where its buffers are."""

import gc
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch7
from ch7_testing import FUSION, B, X, draw, run, show

BUFFERS = ["one-shot-bufferize", "buffer-results-to-out-params"]
LOOPS_TO_LLVM = [
    "optimize-allocation-liveness",
    "convert-linalg-to-loops",
    "ch6-approximate-math",
    "convert-scf-to-cf",
]


def test_ir_is_named_ops_on_tensors():
    graph, value = show.layer()
    chapters.filecheck(
        graph.get_mlir(value, "layer"),
        """
        CHECK:      func.func @layer(
        CHECK-SAME:   %[[X:.*]]: tensor<4x3xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[W:.*]]: tensor<3x5xf32> {bufferization.writable = false},
        CHECK-SAME:   %[[B:.*]]: tensor<5xf32> {bufferization.writable = false}) -> tensor<4x5xf32>
        CHECK:      %[[ZERO:.*]] = linalg.fill
        CHECK:      %[[P:.*]] = linalg.matmul ins(%[[X]], %[[W]] : {{.*}}) outs(%[[ZERO]] :
        CHECK:      %[[ROWS:.*]] = linalg.broadcast ins(%[[B]] : tensor<5xf32>) {{.*}} dimensions = [0]
        CHECK:      %[[S:.*]] = linalg.add ins(%[[P]], %[[ROWS]] :
        CHECK:      %[[ZEROS:.*]] = linalg.fill
        CHECK:      %[[R:.*]] = linalg.max ins(%[[S]], %[[ZEROS]] :
        CHECK:      return %[[R]] : tensor<4x5xf32>
        """,
        "--implicit-check-not=linalg.",
    )


def test_softmax_subtracts_the_maximum():
    graph, value = show.softmax()
    chapters.filecheck(
        graph.get_mlir(value),
        """
        CHECK:      %[[LOWEST:.*]] = linalg.fill
        CHECK:      %[[MAX:.*]] = linalg.reduce ins(%arg0 : {{.*}}) outs(%[[LOWEST]] : {{.*}}) dimensions = [1]
        CHECK:        arith.maximumf
        CHECK:      %[[M:.*]] = linalg.broadcast ins(%[[MAX]] : {{.*}} dimensions = [1]
        CHECK:      %[[D:.*]] = linalg.sub ins(%arg0, %[[M]] :
        CHECK:      %[[E:.*]] = linalg.exp ins(%[[D]] :
        CHECK:      %[[SUM:.*]] = linalg.reduce ins(%[[E]] :
        CHECK:        arith.addf
        CHECK:      %[[S:.*]] = linalg.broadcast ins(%[[SUM]] :
        CHECK:      linalg.div ins(%[[E]], %[[S]] :
        """,
    )


def test_a_value_is_emitted_once():
    g = ch7.Graph()
    x = g.variable((2, 2))
    shared = g.matmul(x, x)
    diamond = g.add(g.relu(shared), g.mul(shared, shared))
    ir = g.get_mlir(g.add(diamond, shared))
    assert [ir.count(f"linalg.{op} ") for op in ("matmul", "max", "mul", "add")] == [1, 1, 1, 2]
    X = draw(2, 2)
    P = X @ X
    assert np.allclose(run(g, g.add(diamond, shared), X), np.maximum(P, 0) + P * P + P, atol=1e-5)


def test_a_ladder_of_diamonds_is_as_long_as_it_is_deep():
    """Each value is used twice, so without the memory of what was emitted there would be 2^200 additions."""
    g = ch7.Graph()
    y = x = g.variable((2,))
    for _ in range(60):
        y = g.add(y, y)
    assert g.get_mlir(y).count("linalg.add") == 60
    assert run(g, y, np.float32([1, -1])).tolist() == [2.0**60, -(2.0**60)]
    for _ in range(140):
        y = g.mul(y, y)
    assert g.get_mlir(y).count("linalg.mul") == 140 and x.shape == (2,)


def test_what_is_not_needed_is_not_emitted():
    g = ch7.Graph()
    x = g.variable((2, 2))
    y = g.relu(x)
    g.matmul(y, y)
    assert "matmul" not in g.get_mlir(y)


def test_a_deep_graph_is_no_deep_recursion():
    g = ch7.Graph()
    x = g.variable((2,))
    y = x
    for _ in range(30_000):
        y = g.add(y, x)
    assert g.get_mlir(y).count("linalg.add") == 30_000
    with pytest.raises(ValueError, match="f: the value needs 30001 nodes; up to 10000 are compiled at once"):
        g.compile(y, "f")
    del g, x, y
    gc.collect()


def test_a_thousand_operations_in_one_function():
    g = ch7.Graph()
    x = g.variable((3,))
    y = x
    for _ in range(500):
        y = g.relu(g.add(y, x))
    assert run(g, y, np.float32([1, 2, -3])).tolist() == [501, 1002, 0]


def test_one_graph_many_functions():
    g = ch7.Graph()
    x = g.variable((3,))
    y, z = g.mul(x, x), g.add(x, x)
    both = [g.compile(y, "f"), g.compile(z, "f")]
    assert [fn(np.float32([1, 2, 3])).tolist() for fn in both] == [[1, 4, 9], [2, 4, 6]]


@pytest.mark.parametrize("fuse", [True, False])
def test_stages_are_all_there_in_order(fuse):
    graph, value = show.layer()
    stages = ch7.stages(graph, value, "layer", fuse=fuse)
    assert stages[0] == ("input", graph.get_mlir(value, "layer")) == ("input", ch7.ir(graph, value, "layer"))
    names = [name for name, _ in stages[1:]]
    assert names[: 4 if fuse else 2] == (FUSION if fuse else []) + BUFFERS
    middle = [name for name in names if name in LOOPS_TO_LLVM]
    assert middle == LOOPS_TO_LLVM and names[-3:] == ["reconcile-unrealized-casts", "canonicalize", "cse"]


def test_fusion_makes_one_generic_of_what_was_four_ops():
    graph, value = show.layer()
    chapters.filecheck(
        dict(ch7.stages(graph, value, "layer"))["linalg-fuse-elementwise-ops"],
        """
        CHECK:      %[[P:.*]] = linalg.matmul
        CHECK:      %[[R:.*]] = linalg.generic {{.*}} ins(%[[P]], %arg2 : tensor<4x5xf32>, tensor<5xf32>)
        CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %[[B:.*]]: f32, %{{.*}}: f32):
        CHECK-NEXT:   %[[S:.*]] = arith.addf %[[IN]], %[[B]]
        CHECK-NEXT:   %[[M:.*]] = arith.maximumf %[[S]], %cst
        CHECK-NEXT:   linalg.yield %[[M]]
        CHECK:      return %[[R]]
        """,
        "--implicit-check-not=linalg.broadcast",
        "--implicit-check-not=linalg.max",
    )


@pytest.mark.parametrize(
    "build, before, after",
    [(show.layer, 6, 3), (show.softmax, 9, 6), (show.chain, 6, 1)],
)
def test_number_of_loop_nests(build, before, after):
    assert show.loop_nests(*build(), False) == before
    assert show.loop_nests(*build(), True) == after


def test_generalize_takes_what_has_no_reduction():
    graph, value = show.layer()
    chapters.filecheck(
        dict(ch7.stages(graph, graph.softmax(value), "f"))["ch7-generalize-elementwise"],
        """
        CHECK:         linalg.fill
        CHECK:         linalg.matmul
        CHECK-COUNT-2: linalg.generic
        CHECK:         linalg.fill
        CHECK:         linalg.generic
        CHECK:         linalg.fill
        CHECK:         linalg.reduce
        CHECK-COUNT-3: linalg.generic
        CHECK:         linalg.fill
        CHECK:         linalg.reduce
        CHECK-COUNT-2: linalg.generic
        """,
        "--implicit-check-not=linalg.broadcast",
        "--implicit-check-not=linalg.generic",
    )


def test_mlir_opt_agrees():
    """From fusion to out-parameters, with the options of lowering.cpp."""
    stages = dict(ch7.stages(*show.layer(), "layer"))
    command = [
        str(chapters.llvm_prefix() / "bin" / "mlir-opt"),
        "--linalg-fuse-elementwise-ops",
        "--one-shot-bufferize=bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map",
        "--buffer-results-to-out-params=hoist-static-allocs"
        + (" modify-public-functions" if chapters.llvm_major() >= 22 else ""),
    ]
    done = subprocess.run(command, input=stages[FUSION[0]], capture_output=True, text=True)
    assert done.stdout.strip() == stages[BUFFERS[1]].strip(), done.stderr


def test_what_fusion_leaves_alone():
    g = ch7.Graph()
    x = g.variable((4, 4))
    # Used twice: computed once and kept, not once for each use.
    shared = g.mul(x, x)
    assert show.loop_nests(g, g.add(g.matmul(shared, x), shared), True) == 4  # mul, fill, matmul, add
    # Into a product: each element would be computed once for each column of the result.
    assert show.loop_nests(g, g.matmul(g.mul(x, x), x), True) == 3


def test_the_result_is_computed_where_it_is_returned():
    """No buffer for it, and no copy."""
    graph, value = show.layer()
    chapters.filecheck(
        dict(ch7.stages(graph, value, "layer"))["optimize-allocation-liveness"],
        """
        CHECK:      func.func @layer(%{{.*}}: memref<4x3xf32>, %{{.*}}: memref<3x5xf32>, %{{.*}}: memref<5xf32>,
        CHECK-SAME:   %[[OUT:.*]]: memref<4x5xf32>) {
        CHECK:      %[[P:.*]] = memref.alloc
        CHECK:      linalg.matmul {{.*}} outs(%[[P]] :
        CHECK:      linalg.generic {{.*}} outs(%[[OUT]] :
        CHECK:      memref.dealloc %[[P]]
        CHECK-NEXT: return
        """,
        "--implicit-check-not=memref.copy",
        "--implicit-check-not=memref.alloc",
    )


@pytest.mark.parametrize("build", [show.layer, show.softmax, show.chain])
@pytest.mark.parametrize("fuse", [True, False])
def test_every_buffer_is_freed(build, fuse):
    ir = dict(ch7.stages(*build(), fuse=fuse))["optimize-allocation-liveness"]
    assert ir.count("memref.alloc(") == ir.count("memref.dealloc ")


def test_a_buffer_is_freed_after_its_last_use():
    g = ch7.Graph()
    y = x = g.variable((4, 4))
    for _ in range(10):
        y = g.matmul(y, x)
    ir = dict(ch7.stages(g, y))["optimize-allocation-liveness"]
    live = most = 0
    for line in ir.splitlines():
        live += ("memref.alloc(" in line) - ("memref.dealloc " in line)
        most = max(most, live)
    assert (live, most) == (0, 2)  # what is read, and what is written


def test_the_signature_has_5_7_and_9_words():
    g = ch7.Graph()
    x, row, stack = g.variable((4, 3)), g.variable((3,)), g.variable((2, 4, 3))
    for value, words in ((g.relu(row), 5 + 5), (g.add(x, row), 7 + 5 + 7), (g.mul(stack, row), 5 + 9 + 9)):
        ir = ch7.stages(g, value, "f")[-1][1]
        (signature,) = re.findall(r"llvm.func @f\((.*)\)", ir)
        assert signature.count("%arg") == words
        assert signature.count("!llvm.ptr") == 2 * (len(g.compile(value, "f").argument_shapes) + 1)


def test_the_last_stage_is_the_llvm_dialect():
    graph, value = show.softmax()
    last = ch7.stages(graph, value)[-1][1]
    chapters.filecheck(
        last,
        """
        CHECK:      llvm.func @main(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64
        CHECK:      llvm.br
        """,
        *(
            f"--implicit-check-not={d}."
            for d in (" linalg", " memref", " scf", " arith", " math", " cf", "builtin")
        ),
    )


def test_llvm_ir_and_assembly():
    graph, value = show.chain(64, 64)
    ir = ch7.llvm_ir(graph, value, "chain")
    assert "define void @chain(" in ir and re.search(r"fmul <\d+ x float>", ir)
    assert "chain:" in ch7.assembly(graph, value, "chain")
    assert "malloc" not in ir  # one loop nest: nothing between input and output


def test_ir_of_the_reader_takes_the_same_way():
    g = ch7.Graph()
    x, b = g.variable((4, 3)), g.variable((3,))
    y = g.add(x, b)
    ir = g.get_mlir(y, "f")
    fn = g.compile(y, "f", ir=ir.replace("linalg.add", "linalg.sub"))
    assert np.array_equal(fn(X, B), X - B)
    assert np.array_equal(g.compile(y, "f", ir=ir)(X, B), g.compile(y, "f")(X, B))
    assert ch7.stages(g, y, "f", ir=ir)[1][0] == FUSION[0]


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
