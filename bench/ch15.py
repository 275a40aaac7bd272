"""What chapter 15's kernels reach on an NVIDIA GPU: bytes beside a copy, products beside NVIDIA's library.

    python3 bench/ch15.py                 compile, check and measure here
    python3 bench/ch15.py --save DIR      compile only: PTX and what belongs to it, for a machine without LLVM
    python3 DIR/bench.py                  there: check and measure what was saved

Needs PyTorch with CUDA (the library's products, the copy) and cuda-bindings. Every kernel is compared with NumPy or
PyTorch before it is timed. Candidates take turns; each figure is the median of the turns, a turn the mean of several
launches between two events on the device. Inputs are normally distributed.
"""

import argparse
import ctypes
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TURNS, LAUNCHES = 7, 10
TILES = [
    (2, 256, 4, 8),
    (2, 256, 4, 1),
    (2, 256, 3, 8),
    (2, 192, 5, 8),
    (2, 128, 6, 8),
    (1, 256, 5, 8),
    (3, 192, 4, 8),
]
VECTORS = [2**26, 2**28]
ROWS = [(65_536, 1024), (16_384, 4096), (8192, 8192), (4096, 32_768), (512, 262_144)]


# --- compiling ------------------------------------------------------------------------------------------------


def with_passes(ir: str, *device_passes: str) -> str:
    """PTX by the chapter's pipeline, with other passes in the place of ch15-device-math and ch15-device-unroll."""
    import chapters

    passes = [
        *("ch15-device-only", "nvvm-attach-target{chip=sm_90 features=+ptx80 O=3}", *device_passes),
        *("convert-scf-to-cf", "expand-strided-metadata", "lower-affine"),
        *("gpu.module(convert-gpu-to-nvvm{index-bitwidth=64})", "ch15-kernel-abi", "canonicalize", "cse"),
        *("reconcile-unrealized-casts", "gpu-module-to-binary{format=isa}"),
    ]
    command = ["ch15-opt", f"--pass-pipeline=builtin.module({','.join(passes)})"]
    done = subprocess.run(
        command, input=ir, capture_output=True, text=True, env=chapters.environment(), check=True
    )
    text = re.search(
        r'(?:assembly = |, )"((?:[^"\\]|\\.)*)"',
        done.stdout[done.stdout.index("gpu.binary") :].split("O = 3", 1)[1],
    )
    return re.sub(
        r"\\([0-9A-F]{2}|\\)", lambda m: "\\" if m[1] == "\\" else chr(int(m[1], 16)), text[1]
    ).rstrip("\0")


def rows_by(threads: int, ir: str) -> str:
    """softmax with blocks of another size."""
    halvings = threads.bit_length() - 1
    ir = ir.replace("256", str(threads)).replace("constant 128 :", f"constant {threads // 2} :")
    return ir.replace("constant 8 :", f"constant {halvings} :")


def compiled() -> dict:
    """{name: what is needed to launch it}."""
    sys.path.insert(0, str(HERE.parent))
    import chapters

    import ch15_gpu_concepts as ch15

    softmax = ch15.softmax_ir()
    four = (chapters.ROOT / "ch.15.GPU-Concepts/exercises/solutions/1_four.mlir").read_text()
    found = {
        "vector_add": {"ptx": ch15.ptx("vector_add"), "elements": 256},
        "exercise 1, four elements a thread": {"ptx": ch15.ptx("vector_add", ir=four), "elements": 1024},
        "matmul": {"ptx": ch15.ptx("matmul")},
        "softmax": {"ptx": ch15.ptx("softmax"), "threads": 256},
        "blocks of 512": {"ptx": ch15.ptx("softmax", ir=rows_by(512, softmax)), "threads": 512},
        "blocks of 1024": {"ptx": ch15.ptx("softmax", ir=rows_by(1024, softmax)), "threads": 1024},
        "not unrolled": {"ptx": with_passes(softmax, "ch15-device-math"), "threads": 256},
        "chapter 6's exp": {
            "ptx": with_passes(softmax, "ch15-approximate-math", "ch15-device-math", "ch15-device-unroll"),
            "threads": 256,
        },
    }
    for consumers, columns, stages, group in TILES:
        tile = {"consumers": consumers, "columns": columns, "stages": stages, "group": group}
        ptx = ch15.ptx("matmul_f16", "sm_90a", ir=ch15.matmul_f16_ir(**tile))
        shared = ch15.launch("matmul_f16", [1, 1], **tile)[2]
        found[f"{64 * consumers} x {columns}, {stages} stages, groups of {group}"] = {
            "ptx": ptx,
            "shared": shared,
            **tile,
        }
    return found


def save(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernels.json").write_text(json.dumps(compiled()))
    shutil.copy(__file__, folder / "bench.py")
    shutil.copy(HERE.parent / "ch.15.GPU-Concepts" / "ch15_cuda.py", folder)
    print(f"saved to {folder}: run `python3 {folder / 'bench.py'}` where the GPU is")


# --- launching ------------------------------------------------------------------------------------------------


class Tensor:
    """A PyTorch tensor in the clothes of a ch15_cuda.Buffer."""

    def __init__(self, tensor):
        import ch15_cuda

        self.device, self.shape, self.pointer = ch15_cuda.device(), tuple(tensor.shape), tensor.data_ptr()

    def memref(self):
        strides = [int(np.prod(self.shape[i + 1 :])) for i in range(len(self.shape))]
        return [ctypes.c_int64(word) for word in (self.pointer, self.pointer, 0, *self.shape, *strides)]


def up(size: int, part: int) -> int:
    return -(-size // part)


def launcher(kernel: str, made: dict, *tensors):
    """A callable that launches the kernel on the tensors, the last of which is the result."""
    import ch15_cuda as cuda

    here, shape = cuda.device(), tensors[-1].shape
    shared, block = made.get("shared", 0), (256, 1, 1)
    parameters = [p for t in tensors for p in Tensor(t).memref()]
    if kernel == "vector_add":
        grid = (up(shape[0], made["elements"]), 1, 1)
    elif kernel == "softmax":
        grid, block = (shape[0], 1, 1), (made["threads"], 1, 1)
    elif kernel == "matmul":
        grid, block = (up(shape[1], 16), up(shape[0], 16), 1), (16, 16, 1)
    else:
        a, b, c = tensors
        rows, columns = 64 * made["consumers"], made["columns"]
        grid, block = (shape[0] // rows * (shape[1] // columns), 1, 1), (128 * (made["consumers"] + 1), 1, 1)
        parameters = cuda.tensor_core_parameters(
            *map(Tensor, (a, b, c)), a.shape[1], b.shape[1], rows, columns
        )
    function = here.function(made["ptx"], kernel, shared)
    return lambda: here.launch(function, grid, block, shared, parameters)


def medians(calls: dict, launches: int = LAUNCHES) -> dict[str, float]:
    """{name: milliseconds a launch}."""
    import torch

    import ch15_cuda as cuda

    samples = {name: [] for name in calls}
    for call in calls.values():
        call()
    torch.cuda.synchronize()
    for _ in range(TURNS):
        for name, call in calls.items():
            samples[name].append(cuda.device().milliseconds(call, launches))
    return {name: statistics.median(values) for name, values in samples.items()}


# --- what is measured -------------------------------------------------------------------------------------------


def vectors(kernels: dict) -> None:
    import torch

    print(
        "\n| `a + b`, TB/s and share of a copy | "
        + " | ".join(f"2^{n.bit_length() - 1}" for n in VECTORS)
        + " |"
    )
    print("|---|" + "---|" * len(VECTORS))
    table = {}
    for n in VECTORS:
        a, b = (torch.randn(n, device="cuda") for _ in range(2))
        c = torch.full_like(a, float("nan"))
        names = ("vector_add", "exercise 1, four elements a thread")
        calls = {name: launcher("vector_add", kernels[name], a, b, c) for name in names}
        for call in calls.values():
            c.fill_(float("nan"))
            call()
            torch.cuda.synchronize()
            assert torch.equal(c, a + b)
        calls |= {
            "PyTorch": lambda a=a, b=b, c=c: torch.add(a, b, out=c),
            "a copy": lambda a=a, c=c: c.copy_(a),
        }
        found = medians(calls)
        copied = 8 * n / found["a copy"]
        for name, took in found.items():
            rate = (8 if name == "a copy" else 12) * n / took
            table.setdefault(name, []).append(f"{rate / 1e9:.2f} ({rate / copied:.0%})")
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")


def rows(kernels: dict) -> None:
    import torch

    print("\n| softmax, share of a copy | " + " | ".join(f"{r} x {n}" for r, n in ROWS) + " |")
    print("|---|" + "---|" * len(ROWS))
    table = {}
    for r, n in ROWS:
        x = torch.randn(r, n, device="cuda")
        y, expected = torch.empty_like(x), torch.softmax(x, -1)
        calls = {k: launcher("softmax", made, x, y) for k, made in kernels.items() if "threads" in made}
        for call in calls.values():
            y.fill_(float("nan"))
            call()
            torch.cuda.synchronize()
            assert torch.allclose(y, expected, rtol=1e-4, atol=0)
        calls |= {
            "PyTorch": lambda x=x, y=y: torch.softmax(x, -1, out=y),
            "a copy": lambda x=x, y=y: y.copy_(x),
        }
        found = medians(calls)
        for name, took in found.items():
            cell = (
                f"{8 * r * n / took / 1e9:.2f} TB/s" if name == "a copy" else f"{found['a copy'] / took:.0%}"
            )
            table.setdefault(name, []).append(cell)
    for name, cells in table.items():
        print(f"| {name} | {' | '.join(cells)} |")


def products(kernels: dict, kernel: str, size: int, dtype: str, launches: int) -> None:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    a, b = (torch.randn(size, size, device="cuda", dtype=getattr(torch, dtype)) for _ in range(2))
    expected, calls = a.double() @ b.double(), {}
    for name, made in kernels.items():
        if name != kernel and not (kernel == "matmul_f16" and "columns" in made):
            continue
        whole = [size, size]
        if "columns" in made:
            whole = [up(size, part) * part for part in (64 * made["consumers"], made["columns"])]
        c = torch.full(whole, float("nan"), device="cuda")
        calls[name] = launcher(kernel, made, a, b, c)
        calls[name]()
        torch.cuda.synchronize()
        error = ((c[:size, :size] - expected).norm() / expected.norm()).item()
        assert error < 1e-5, f"{name}: relative error {error}"
    calls["PyTorch (cuBLAS)"] = lambda: torch.matmul(a, b)
    found = medians(calls, launches)
    print(f"\n| {size}^3, {dtype} | TFLOP/s | of cuBLAS |\n|---|---|---|")
    for name, took in found.items():
        print(f"| {name} | {2 * size**3 / took / 1e9:.1f} | {found['PyTorch (cuBLAS)'] / took:.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", type=pathlib.Path, metavar="DIR", help="compile only, into this folder")
    options = parser.parse_args()
    if options.save:
        return save(options.save)
    saved = HERE / "kernels.json"
    kernels = json.loads(saved.read_text()) if saved.is_file() else compiled()
    import torch

    import ch15_cuda

    torch.zeros(1, device="cuda")  # PyTorch's context is the device's; ours is the same one
    here = ch15_cuda.device()
    here.activate()
    print(
        f"{here.name}, compute capability {'.'.join(map(str, here.capability))}, PyTorch {torch.__version__}"
    )
    vectors(kernels)
    rows(kernels)
    products(kernels, "matmul", 4096, "float32", launches=3)
    if here.capability == (9, 0):
        for size in (4096, 8192):
            products(kernels, "matmul_f16", size, "float16", launches=LAUNCHES)
    return None


if __name__ == "__main__":
    main()
