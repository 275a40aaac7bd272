"""What the schedules of chapter 10 do to the IR, with mlir-opt too, and what machine code comes of it."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

import ch10
from ch10_testing import EVERY_RUNG, HERE, VECTOR, draw, opt, stage

T = ch10.Tensor
A, B = draw(16, 32), draw(32, 64, seed=1)


def wide():
    """Whole tiles of 8 x 32."""
    return T(draw(128, 64)) @ draw(64, 256)


def scheduled(tensor, pipeline):
    """The IR after the schedule, which ch10-drop-schedule has taken out again."""
    return stage(tensor, pipeline, "ch10-drop-schedule")


def test_loop_order():
    chapters.filecheck(
        scheduled(wide(), "loop-order"),
        """
        CHECK: affine_map<(d0, d1, d2) -> (d0, d1)>
        CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "reduction", "parallel"]
        CHECK-NOT: transform.
        """,
    )


def test_fused():
    t = ch10.relu(wide() + draw(256))
    assert stage(t, "loop-order", "convert-linalg-to-loops").count("arith.maximumf") == 1
    loops = {p: scheduled_loops(t, p) for p in ("loop-order", "fused")}
    assert loops["loop-order"] - loops["fused"] == 2  # one nest of two loops less


def scheduled_loops(tensor, pipeline):
    return stage(tensor, pipeline, "convert-linalg-to-loops").count("scf.for")


def test_tiled():
    chapters.filecheck(
        scheduled(wide(), "tiled"),
        """
        CHECK-COUNT-3: scf.for %{{.+}} = %c0{{.*}} to %{{.+}} step %c64
        CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "reduction", "parallel"]{{.+}} tensor<64x64xf32>
        """,
    )


def body_of_the_k_loop(text):
    """The lines between the innermost scf.for and its yield, where the multiply-adds are."""
    (body,) = [part for part in re.split(r"scf\.for|scf\.yield", text) if "vector.fma" in part]
    return body


@pytest.mark.parametrize(
    "pipeline, writes", [("vectorized", 1), ("registers", 0), ("blocked", 0), ("packed-a", 0), ("packed", 0)]
)
def test_the_accumulator(pipeline, writes):
    body = body_of_the_k_loop(scheduled(wide(), pipeline))
    assert body.count("vector.fma") == 32 and body.count("vector<32xf32>") > 32  # 8 rows, 4 steps of k
    assert body.count("vector.transfer_write") == writes
    assert body.count("vector.transfer_read") == 2 + writes


@pytest.mark.parametrize("pipeline", VECTOR)
def test_machine_code(pipeline):
    """In the loop with the multiply-adds: stores only where C does not stay in registers."""
    tile = ch10.tile()
    width = tile["lanes"] if pipeline == "optimized" else tile["columns"]
    ir = ch10.llvm_ir(T(draw(4 * tile["rows"], 64)) @ draw(64, 8 * tile["columns"]), pipeline)
    call = f"call <{width} x float> @llvm.fmuladd.v{width}f32"
    blocks = [b for b in re.split(r"\n(?=[\w.]+:)", ir) if call in b]
    assert blocks
    for block in blocks:
        stores = len(re.findall(rf"store <{width} x float>", block))
        assert stores == (tile["rows"] if pipeline == "vectorized" else 0), block


@pytest.mark.skipif(ch10.tile()["lanes"] == 4, reason="this machine has no multiply-add of vectors")
def test_the_tile_is_in_registers():
    tile = ch10.tile()
    whole = T(draw(4 * tile["rows"], 64)) @ draw(64, 8 * tile["columns"])
    register = {16: "zmm", 8: "ymm"}[tile["lanes"]]
    used = set(re.findall(rf"vfmadd\d+ps\s[^\n]*, %({register}\d+)\n", ch10.assembly(whole)))
    assert len(used) >= tile["rows"] * tile["columns"] // tile["lanes"]


def test_the_epilogue_is_on_the_tile():
    t = ch10.relu(ch10.linear(draw(128, 64), draw(256, 64), draw(256)))
    chapters.filecheck(
        scheduled(t, "packed"),
        """
        CHECK: scf.for
        CHECK: vector.fma
        CHECK: arith.addf %{{.+}} : vector<8x32xf32>
        CHECK: arith.maximumf %{{.+}} : vector<8x32xf32>
        CHECK: vector.transfer_write
        CHECK: ch10.tile
        CHECK-NOT: linalg.generic
        """,
    )


def test_packed_writes_c_once():
    """Packed A, one panel of B, and no buffer for C: the tiles go where the caller wants them. LLVM 21's
    eliminate-empty-tensors does not look through a view of C's shape; there C has a buffer too."""
    buffers = stage(wide(), "packed", "convert-linalg-to-loops")
    result = ["16x8x8x32xf32"] if chapters.llvm_major() == 21 else []
    assert re.findall(r"memref\.alloc\(\).*: memref<(\w+)>", buffers) == [
        "16x64x8xf32",
        *result,
        "1x64x32xf32",
    ]
    assert chapters.llvm_major() == 21 or "memref.copy" not in buffers


@EVERY_RUNG
def test_stages(pipeline):
    t = ch10.relu(wide())
    stages = ch10.stages(t, pipeline=pipeline)
    assert stages[0] == ("input", ch10.ir(t, pipeline=pipeline))
    assert (
        "memref" not in stages[-1][1] and "vector." not in stages[-1][1] and "transform." not in stages[-1][1]
    )
    assert "define" in ch10.llvm_ir(t, pipeline) and "forward" in ch10.assembly(t, pipeline)


def test_every_pass_is_known_to_the_tool():
    names = {name for p in ch10.PIPELINES for name, _ in ch10.stages(T(A) @ B, p)[1:]} - {"ch10-schedule"}
    for flag in [*(f"--{name}" for name in sorted(names - {"transform-interpreter"})), "--ch10-pipeline"]:
        done = opt("ch10-opt", flag, text="module {}")
        assert done.returncode == 0, (flag, done.stderr)


SCHEDULES = {
    "loop-order": ("loop-order", "ch10-products"),
    "tiled": ("tiled", "linalg-fuse-elementwise-ops"),
    "vectorized": ("vectorized", "linalg-fuse-elementwise-ops"),
    "registers": ("registers", "linalg-fuse-elementwise-ops"),
    "blocked": ("blocked", "linalg-fuse-elementwise-ops"),
    "packed": ("packed", "ch10-pack"),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_works_with_mlir_opt(schedule):
    """The file by itself and mlir-opt do what the chapter's pipeline does."""
    pipeline, before = SCHEDULES[schedule]
    text = stage(wide(), pipeline, before)
    library = f"--transform-preload-library=transform-library-paths={HERE / 'schedules' / schedule}.mlir"
    done = opt("mlir-opt", library, "--transform-interpreter", text=text)
    assert done.returncode == 0, done.stderr
    ours = opt("mlir-opt", text=scheduled(wide(), pipeline)).stdout
    assert done.stdout == ours


def test_a_schedule_gets_the_tile_of_the_machine():
    for lanes, shape in [(16, "8x32"), (8, "6x16"), (4, "6x8")]:
        text = stage(T(draw(48, 64)) @ draw(64, 96), "registers", "ch10-drop-schedule", lanes)
        assert re.search(rf"scf\.for .*vector<{shape}xf32>", text), lanes


def test_every_schedule_is_tested():
    assert {f.stem for f in HERE.glob("schedules/*.mlir")} == set(SCHEDULES)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
