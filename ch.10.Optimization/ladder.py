"""The ladder on this machine: every pipeline, NumPy and PyTorch (where it is installed), taking turns in one process.

    python ladder.py [--size 1024 | --shape M K N] [--turns 7] [--plot FILE]

prints GFLOP/s, the share of what one core reaches in a loop of multiply-adds on registers, and the ratio to NumPy.
One thread. --plot writes the picture of the lesson (it needs matplotlib).
"""

import argparse
import os
import pathlib
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # one thread for NumPy and PyTorch; before they are imported

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import numpy as np
from limits import Machine
from timing import medians, processor

import chapters  # finds the build tree

import ch10_optimization as ch10

try:
    import torch
except ImportError:
    torch = None

SLOW_TURNS = 1  # of the baseline, which takes seconds where the others take milliseconds


def measure(m: int, k: int, n: int, turns: int) -> dict[str, float]:
    """{name: GFLOP/s}: the pipelines, "NumPy", "PyTorch", and "peak"."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k), dtype=np.float32), rng.standard_normal((k, n), dtype=np.float32)
    product, operations = ch10.matmul(a, b), 2 * m * k * n
    calls = max(1, int(1e8 / operations))  # a turn is a millisecond or more
    candidates = {}
    for pipeline in ch10.PIPELINES[1:]:
        candidates[pipeline] = (lambda pipeline=pipeline: ch10.forward(product, pipeline), calls)
    candidates["NumPy"] = (lambda: a @ b, calls)
    if torch:
        torch.set_num_threads(1)
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        candidates["PyTorch"] = (lambda: ta @ tb, calls)
    print(f"{m} x {k} x {n}: compiling, then {turns} turns of {len(candidates)} …", file=sys.stderr)
    seconds = medians(candidates, turns)
    print("the baseline …", file=sys.stderr)
    first = ch10.PIPELINES[0]
    slow = medians({first: (lambda: ch10.forward(product, first), max(1, calls // 50))}, SLOW_TURNS)
    rates = {name: operations / s / 1e9 for name, s in (slow | seconds).items()}
    return rates | {"peak": Machine().peak() / 1e9}


def print_table(rates: dict[str, float]) -> None:
    print(f"{'':<12}{'GFLOP/s':>9}{'of peak':>9}{'of NumPy':>10}")
    for name, rate in rates.items():
        print(f"{name:<12}{rate:9.1f}{rate / rates['peak']:9.0%}{rate / rates['NumPy']:10.2f}")


def draw(rates: dict[str, float], title: str, file: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in rates if name != "peak"]
    colors = ["tab:blue" if name in ch10.PIPELINES else "tab:gray" for name in names]
    figure, axes = plt.subplots(figsize=(8, 3.6), dpi=110)
    bars = axes.bar(names, [rates[name] for name in names], color=colors)
    axes.bar_label(
        bars, fmt="%.3g", fontsize=8, padding=2, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0}
    )
    axes.axhline(rates["peak"], color="tab:red", linewidth=1)
    axes.annotate(
        "multiply-adds on registers", (-0.4, rates["peak"]), va="bottom", color="tab:red", fontsize=8
    )
    axes.set(ylabel="GFLOP/s", title=title)
    axes.tick_params(axis="x", labelsize=8)
    axes.margins(y=0.15)
    figure.tight_layout()
    figure.savefig(file)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text}")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--size", type=positive, default=1024, help="M = K = N (1024)")
    shape.add_argument("--shape", type=positive, nargs=3, metavar=("M", "K", "N"))
    parser.add_argument("--turns", type=positive, default=7, help="how often each is timed (7)")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="writes the picture there")
    options = parser.parse_args()
    m, k, n = options.shape or [options.size] * 3
    rates = measure(m, k, n, options.turns)
    print(f"{m} x {k} x {n}, one thread of {processor()}, LLVM {chapters.llvm_major()}")
    print_table(rates)
    if options.plot:
        title = f"{m} x {k} x {n}, one thread of {processor()}, LLVM {chapters.llvm_major()}"
        draw(rates, title, options.plot)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
