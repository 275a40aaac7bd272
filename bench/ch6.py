"""How exact three exponentials are, and what they and the softmaxes around them cost: chapter 6.

    python3 bench/ch6.py

Errors are in units in the last place (ulp): distances from NumPy's float64 exp, in spacings of float32 around it.
Times are medians of turns in one run, one thread, on arrays of 64,000 elements (they stay in the second-level cache).
PyTorch takes part where it is installed.
"""

import functools
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy as np
from timing import copy_of, medians, processor

import chapters  # finds the build tree

import ch6_softmax as ch6

LOWERINGS = ("polynomial", "llvm", "libm")
KERNELS = ("exp", "naive_softmax", "scalar_softmax", "softmax")
NUM_ELEMENTS = 64_000
TURNS = 41


def ulp_error(x: np.ndarray, lowering: str) -> np.ndarray:
    """The distance of exp(x) from the exact value in spacings of float32 there; a subnormal result has the spacing
    of the smallest normal one."""
    exact = np.exp(x.astype(np.float64))
    spacing = np.spacing(np.maximum(exact, 2.0**-126).astype(np.float32)).astype(np.float64)
    return np.abs(ch6.exp(x, lowering=lowering) - exact) / spacing


def sweep(low: float, high: float, num: int = 2_000_000) -> np.ndarray:
    """Different float32 numbers from low to high."""
    return np.unique(np.linspace(low, high, num).astype(np.float32))


def rows(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (5 * rng.standard_normal((NUM_ELEMENTS // n, n))).astype(np.float32)


def numpy_softmax(x: np.ndarray) -> np.ndarray:
    y = np.exp(x - x.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    return y


def ours(x: np.ndarray) -> dict:
    """{(kernel, lowering): call}"""
    return {
        (kernel, lowering): functools.partial(getattr(ch6, kernel), x, lowering=lowering)
        for kernel in KERNELS
        for lowering in LOWERINGS
    }


def pytorch():
    """PyTorch on one thread, or None."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)
    return torch


def others(x: np.ndarray) -> dict:
    calls = {"NumPy, exp": lambda: np.exp(x), "NumPy, softmax": lambda: numpy_softmax(x)}
    if torch := pytorch():
        t = torch.from_numpy(x)
        calls |= {"PyTorch, exp": lambda: torch.exp(t), "PyTorch, softmax": lambda: torch.softmax(t, -1)}
    return calls | {"a copy": copy_of(x.nbytes)}


def nanoseconds(calls: dict, turns: int = TURNS) -> dict:
    """{name: ns an element}"""
    return {
        name: 1e9 * value / NUM_ELEMENTS
        for name, value in medians({name: (call, 3) for name, call in calls.items()}, turns).items()
    }


def in_the_wrong_order() -> str:
    """softmax's IR with math-to-libm run before math-to-llvm, behind the polynomial."""
    polynomial = dict(ch6.stages())["ch6-approximate-math"]
    command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), "--convert-math-to-libm"]
    return subprocess.run(command, input=polynomial, capture_output=True, text=True, check=True).stdout


def with_maxnum() -> str:
    return ch6.ir().replace("arith.maximumf", "arith.maxnumf")


def reassociated() -> str:
    """scalar_softmax, with leave to add in any order."""
    return re.sub(r"(arith\.addf .*?) : f32", r"\1 fastmath<reassoc> : f32", ch6.ir(kernel="scalar_softmax"))


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}", end="")
    print(f", PyTorch {torch.__version__}" if (torch := pytorch()) else "", end="\n\n")

    print(
        "| exp, largest error in ulp | -87.3 to 0 | 0 to 88 | 88 to 88.72 | correctly rounded, of those at x < 0 |"
    )
    print("|---|---|---|---|---|")
    for lowering in LOWERINGS:
        below = ulp_error(sweep(-87.3, 0), lowering)
        errors = [below.max(), *(ulp_error(sweep(*r), lowering).max() for r in ((0, 88), (88, 88.72)))]
        cells = " | ".join(f"{error:.2f}" for error in errors)
        print(f"| `{lowering}` | {cells} | {100 * (below <= 0.5).mean():.2f} % |")

    x = rows(1000)
    ns = nanoseconds(ours(x) | others(x))
    heads = " | ".join(f"`{lowering}`" for lowering in LOWERINGS)
    print(f"\n| ns an element, rows of 1000 | {heads} |\n|---|---|---|---|")
    for kernel in KERNELS:
        cells = " | ".join(f"{ns[kernel, lowering]:.2f}" for lowering in LOWERINGS)
        print(f"| `{kernel}` | {cells} |")
    print("\n| the same by others | ns an element |\n|---|---|")
    for name in others(x):
        print(f"| {name} | {ns[name]:.2f} |")

    changed = {  # all as text, so that each call looks for its text in the cache
        "`softmax` as it ships": functools.partial(ch6.run, ch6.ir(), x),
        "`maxnumf` for `maximumf`": functools.partial(ch6.run, with_maxnum(), x),
        "math-to-libm before math-to-llvm": functools.partial(ch6.run, in_the_wrong_order(), x),
        "`scalar_softmax` with `fastmath<reassoc>` on the sum": functools.partial(
            ch6.run, reassociated(), x, kernel="scalar_softmax"
        ),
    }
    print("\n| changed, `polynomial` | ns an element |\n|---|---|")
    for name, value in nanoseconds(changed, 15).items():
        print(f"| {name} | {value:.2f} |")

    lengths = (4, 16, 64, 256, 1000, 16_000)
    print(f"\n| ns an element, rows of | {' | '.join(map(str, lengths))} |\n|{'---|' * (len(lengths) + 1)}")
    table = {}
    for n in lengths:
        x = rows(n)
        calls = {"`softmax`": lambda x=x: ch6.softmax(x)}
        calls |= {name: call for name, call in others(x).items() if "softmax" in name}
        for name, value in nanoseconds(calls, 15).items():
            table.setdefault(name, []).append(value)
    for name, values in table.items():
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |")


if __name__ == "__main__":
    main()
