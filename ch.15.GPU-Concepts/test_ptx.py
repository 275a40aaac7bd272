"""What chapter 15's PTX must be, without a GPU: the right instructions, and text that NVIDIA's assembler takes where
it is installed. Run it by pytest, or as a script."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

import ch15

CHIPS = ["sm_80", "sm_86", "sm_89", "sm_90"]
KERNELS = ["vector_add", "matmul", "softmax"]
ALL = [(kernel, chip) for kernel in KERNELS for chip in CHIPS] + [("matmul_f16", "sm_90a")]

CHECKS = {
    "vector_add": """
        // CHECK: .visible .entry vector_add(
        // CHECK-COUNT-15: .param .u64
        // CHECK: .maxntid 256, 1, 1
        // CHECK-DAG: %ctaid.x
        // CHECK-DAG: %tid.x
        // CHECK: setp
        // CHECK: ld.global.b32
        // CHECK: ld.global.b32
        // CHECK: add.rn.f32
        // CHECK: st.global.b32
        // CHECK-NOT: bar.sync
    """,
    "matmul": """
        // CHECK: .visible .entry matmul(
        // CHECK-DAG: .shared .align 4 .b8 {{.+}}[1024];
        // CHECK-DAG: .shared .align 4 .b8 {{.+}}[1024];
        // CHECK: bar.sync
        // CHECK-COUNT-16: fma.rn.f32
        // CHECK: bar.sync
    """,
    "softmax": """
        // CHECK: .visible .entry softmax(
        // CHECK: .shared .align 4 .b8 {{.+}}[1024];
        // CHECK: ld.global
        // CHECK: max.NaN.f32
        // CHECK: st.shared
        // CHECK: bar.sync
        // CHECK: ex2.approx
        // CHECK: bar.sync
        // CHECK: st.global
        // CHECK-NOT: __nv_
    """,
    "matmul_f16": """
        // CHECK: .target sm_90a
        // CHECK: .extern .shared
        // CHECK: .visible .entry matmul_f16(
        // CHECK: .param .align 64 .b8 matmul_f16_param_0[128],
        // CHECK: .param .align 64 .b8 matmul_f16_param_1[128],
        // CHECK: mbarrier.init.shared
        // CHECK: fence.mbarrier_init
        // CHECK: bar.sync
        // CHECK: setmaxnreg.{{inc|dec}}.sync.aligned
    """,
}


@pytest.mark.parametrize("kernel, chip", ALL)
def test_ptx_says_what_the_kernel_does(kernel, chip):
    ptx = ch15.ptx(kernel, chip)
    assert f".target {chip}\n" in ptx and ".version 8.0\n" in ptx
    chapters.filecheck(ptx, CHECKS[kernel])
    assert ".func" not in ptx and "call" not in re.sub(r"//.*", "", ptx), "everything is in the kernel"


def test_each_op_of_nvgpu_has_its_instruction():
    ptx = ch15.ptx("matmul_f16", "sm_90a")
    for instruction in [
        "mbarrier.init.shared.b64",
        "mbarrier.arrive.expect_tx.shared.b64",
        "mbarrier.arrive.shared.b64",
        "mbarrier.try_wait.parity.shared.b64",
        "cp.async.bulk.tensor.2d.shared::cluster.global.",
        "wgmma.fence.sync.aligned",
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16",
        "wgmma.commit_group.sync.aligned",
        "wgmma.wait_group.sync.aligned",
        "setmaxnreg.inc.sync.aligned.u32 \t232",
        "setmaxnreg.dec.sync.aligned.u32 \t40",
    ]:
        assert instruction in ptx, instruction
    # A stage is one copy of A and four of B; 64 steps of k are four products. (LLVM may write a loop's body twice.)
    assert ptx.count("cp.async.bulk.tensor") == 5 * ptx.count("arrive.expect_tx") > 0
    assert ptx.count("wgmma.mma_async") == 4 * ptx.count("wgmma.commit_group") > 0


@pytest.mark.parametrize("tile", [(1, 128, 6), (2, 128, 4), (2, 192, 5), (3, 192, 4)])
def test_other_tiles_are_other_instructions(tile):
    consumers, columns, stages = tile
    ir = ch15.matmul_f16_ir(consumers=consumers, columns=columns, stages=stages)
    ptx = ch15.ptx("matmul_f16", "sm_90a", ir=ir)
    assert f"m64n{columns}k16" in ptx and f".maxntid {128 * (consumers + 1)}, 1, 1" in ptx
    assert ptx.count("cp.async.bulk.tensor") == (1 + columns // 64) * ptx.count("arrive.expect_tx") > 0
    grid, block, shared = ch15.launch(
        "matmul_f16", [1000, 1000], consumers=consumers, columns=columns, stages=stages
    )
    assert grid == (-(-1000 // (64 * consumers)) * -(-1000 // columns), 1, 1)
    assert block == (128 * (consumers + 1), 1, 1)
    assert shared == stages * 128 * (64 * consumers + columns) + 1024


def ptxas() -> str | None:
    """NVIDIA's assembler, where there is one: on PATH, in CUDA_HOME, or from PyPI's nvidia-cuda-nvcc."""
    places = [os.environ.get("CUDA_HOME", "") + "/bin", *(str(pathlib.Path(p, "nvidia")) for p in sys.path)]
    found = shutil.which("ptxas") or shutil.which("ptxas", path=os.pathsep.join(places))
    return found or next((str(f) for p in places[1:] for f in pathlib.Path(p).glob("**/bin/ptxas")), None)


@pytest.mark.skipif(ptxas() is None, reason="assembling PTX: ptxas is not installed")
@pytest.mark.parametrize("kernel, chip", ALL)
def test_ptx_assembles(kernel, chip, tmp_path):
    file = tmp_path / "kernel.ptx"
    file.write_text(ch15.ptx(kernel, chip))
    command = [ptxas(), f"-arch={chip}", "-v", str(file), "-o", str(tmp_path / "kernel.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    if kernel == "matmul_f16":
        assert "0 bytes spill stores, 0 bytes spill loads" in said
        assert "serialized" not in said  # what ptxas says where it cannot run two wgmma at a time
        assert int(re.search(r"Used (\d+) registers", said)[1]) <= 168  # 65,536 for 384 threads


@pytest.mark.parametrize(
    "kernel, chip, said",
    [
        (
            "matmul",
            "sm_75",
            "chip: matmul is compiled for 'sm_80', 'sm_86', 'sm_87', 'sm_89', 'sm_90', 'sm_90a', got 'sm_75'",
        ),
        ("matmul_f16", "sm_90", "chip: matmul_f16 is compiled for 'sm_90a', got 'sm_90'"),
        (
            "add",
            "sm_90",
            "kernel: expected one of 'vector_add', 'matmul', 'softmax', 'matmul_f16', got 'add'",
        ),
    ],
)
def test_wrong_arguments(kernel, chip, said):
    with pytest.raises(ValueError) as caught:
        ch15.ptx(kernel, chip)
    assert str(caught.value) == said


PTX_PASSES = [
    "ch15-device-only",
    "nvvm-attach-target",
    "ch15-device-math",
    "ch15-device-unroll",
    "convert-nvgpu-to-nvvm",
    "convert-nvvm-to-llvm",
    "convert-scf-to-cf",
    "expand-strided-metadata",
    "lower-affine",
    "convert-gpu-to-nvvm",
    "ch15-kernel-abi",
    "canonicalize",
    "cse",
    "reconcile-unrealized-casts",
    "gpu-module-to-binary",
]


@pytest.mark.parametrize("kernel", [*KERNELS, "matmul_f16"])
def test_stages_go_from_gpu_to_nvvm_to_ptx(kernel):
    stages = ch15.stages(kernel, device="cuda")
    assert stages[0] == ("input", ch15.ir(kernel))
    assert [name for name, _ in stages[1:]] == PTX_PASSES
    by_name = dict(stages)
    assert "nvvm.read.ptx.sreg.tid.x" in by_name["convert-gpu-to-nvvm"]
    assert "gpu.binary @kernels" in stages[-1][1]


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
