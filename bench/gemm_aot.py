"""Matrix products of ch.10, compiled here for another processor, to be timed there.

    python bench/gemm_aot.py build DIR [--cpu sapphirerapids] [--lanes 16] [--only MxKxN …]
    python gemm_aot.py time DIR [--rounds 9]      on the other machine: it needs NumPy, and PyTorch if it is to compare

`build` writes a shared library for each shape of bench/gemm.py and each form (`raw`, `packed`): the LLVM IR that the
pipeline 'optimized' makes for that many floats in a vector, through llc. `time` calls them by ctypes, in turns with
NumPy and PyTorch, on one thread, and prints GFLOP/s (of one row GB/s of B), medians. What it leaves out of
bench/gemm.py: the call from Python through the chapter's module, and the allocation of the result.
"""

import argparse
import ctypes
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported
import numpy as np

FORMS = ("raw", "packed")


def build(directory: pathlib.Path, cpu: str, lanes: int, only: list[str] | None) -> None:
    root = pathlib.Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(root), str(root / "bench")]
    import chapters  # noqa: I001  finds the build tree
    import ch10_optimization as ch10
    from gemm import CASES

    directory.mkdir(parents=True, exist_ok=True)
    columns = ch10.tile(lanes)["columns"]
    for case in CASES:
        if only and case.name not in only:
            continue
        a, b = np.zeros((case.m, case.k), np.float32), np.zeros((case.k, case.n), np.float32)
        for form, tensor in zip(FORMS, (ch10.matmul(a, b), ch10.matmul(a, ch10.constant(b)))):
            library = directory / f"{case.name}.{form}.{columns}.so"
            llc = [chapters.llvm_prefix() / "bin" / "llc", "-O3", f"-mcpu={cpu}", "-relocation-model=pic"]
            code = subprocess.run(
                [*llc, "-filetype=obj", "-", "-o", library.with_suffix(".o")],
                input=ch10.llvm_ir(tensor, lanes=lanes),
                text=True,
            )
            code.check_returncode()
            subprocess.run(["cc", "-shared", "-o", library, library.with_suffix(".o")], check=True)
            library.with_suffix(".o").unlink()
        print(case.name, flush=True)


def aligned(*shape: int) -> np.ndarray:
    """A float32 array that begins at a cache line."""
    count = int(np.prod(shape))
    memory = np.zeros(4 * count + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + 4 * count].view(np.float32).reshape(shape)


def descriptor(array: np.ndarray):
    strides = [s // array.itemsize for s in array.strides]
    address = array.ctypes.data
    return (ctypes.c_int64 * (3 + 2 * array.ndim))(address, address, 0, *array.shape, *strides)


def candidates(directory: pathlib.Path, name: str, columns: int, a, b) -> dict:
    calls = {"NumPy": lambda: a @ b}
    try:
        import torch

        torch.set_num_threads(1)
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        calls["PyTorch"] = lambda: ta @ tb
    except ImportError:
        pass
    k, n = b.shape
    for form in FORMS:
        library = ctypes.CDLL(str(directory / f"{name}.{form}.{columns}.so"))
        right = b
        if form == "packed":
            panels = -(-n // columns)
            right = aligned(panels + -panels % 4, k, columns)
            library._mlir_ciface_prepare_1(descriptor(b), descriptor(right))
        out = aligned(a.shape[0], n)
        arguments = [descriptor(x) for x in (a, right, out)]
        library._mlir_ciface_forward(*arguments)
        np.testing.assert_allclose(out, a @ b, rtol=1e-3, atol=1e-3)
        calls[form] = lambda f=library._mlir_ciface_forward, x=arguments, keep=(right, out): f(*x)
    return calls


def measure(directory: pathlib.Path, rounds: int) -> None:
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    print(f"{cpu[1] if cpu else 'unknown processor'}, one thread, NumPy {np.__version__}; GFLOP/s")
    names = {tuple(file.name.split(".")[::2][:2]) for file in directory.glob("*.so")}
    for name, columns in sorted(names, key=lambda pair: [int(size) for size in pair[0].split("x")]):
        m, k, n = map(int, name.split("x"))
        rng = np.random.default_rng(0)
        a, b = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)
        calls, samples = candidates(directory, name, int(columns), a, b), {}
        repeat = max(1, int(1.5e7 / (2 * m * k * n)))
        for _ in range(rounds):
            for what, call in calls.items():
                start = time.perf_counter()
                for _ in range(repeat):
                    call()
                samples.setdefault(what, []).append((time.perf_counter() - start) / repeat)
        work = 2 * m * k * n if m > 1 else 4 * k * n
        rates = {what: work / statistics.median(seconds) / 1e9 for what, seconds in samples.items()}
        best = max(rates.get("NumPy", 0), rates.get("PyTorch", 0))
        print(f"{name:<16}", *(f"{what} {rate:6.1f} " for what, rate in rates.items()), end="")
        print(f" raw/best {rates['raw'] / best:.2f}  packed/best {rates['packed'] / best:.2f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["build", "time"])
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument(
        "--cpu", default="sapphirerapids", help="llc's name of the processor (sapphirerapids)"
    )
    parser.add_argument("--lanes", type=int, default=16, help="floats in a vector: 16, 8 or 4 (16)")
    parser.add_argument("--only", nargs="+", metavar="MxKxN", help="build these shapes alone")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each candidate (9)")
    options = parser.parse_args()
    if options.what == "build":
        build(options.directory, options.cpu, options.lanes, options.only)
    else:
        measure(options.directory, options.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
