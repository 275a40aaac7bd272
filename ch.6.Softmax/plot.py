"""Draws exp.png: how exact the three exponentials are, and what softmax costs with each. `python3 plot.py [FILE]`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import matplotlib.pyplot as plt
import numpy as np

import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent
bench = chapters.run_script(HERE.parent / "bench" / "ch6.py")
COLORS = {"polynomial": "tab:blue", "llvm": "tab:orange", "libm": "tab:green"}


def draw_errors(axes) -> None:
    """The largest error in each of 400 intervals."""
    edges = np.linspace(-100, 88.72, 401)
    for lowering in ("polynomial", "libm"):
        largest = [bench.ulp_error(bench.sweep(*e, 5000), lowering).max() for e in zip(edges, edges[1:])]
        label = lowering if lowering == "polynomial" else "libm and llvm (equal)"
        axes.semilogy(edges[:-1], largest, color=COLORS[lowering], label=label, linewidth=1.2)
    axes.axvline(0, color="gray", linewidth=0.6)
    axes.annotate("softmax asks only here", (-2, 30), ha="right", color="gray")
    axes.annotate("results below $2^{-126}$:\nthe polynomial gives 0", (-86, 1e5), color="gray")
    axes.set(xlabel="x", ylabel="largest error of exp(x), ulp", title="How exact")
    axes.legend(loc="upper right")


def draw_times(axes) -> None:
    x = bench.rows(1000)
    ns = bench.nanoseconds(bench.ours(x), 15)
    for i, lowering in enumerate(bench.LOWERINGS):
        heights = [ns[kernel, lowering] for kernel in bench.KERNELS]
        places = np.arange(len(bench.KERNELS)) + 0.27 * (i - 1)
        bars = axes.bar(places, heights, 0.25, label=lowering, color=COLORS[lowering])
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(range(len(bench.KERNELS)), bench.KERNELS, fontsize=8)
    axes.set(ylabel="ns an element, rows of 1000", title="How fast")
    axes.legend(loc="upper left")
    axes.margins(y=0.25)


if __name__ == "__main__":
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), dpi=110)
    draw_errors(left)
    draw_times(right)
    figure.suptitle(f"{bench.processor()}, one thread, LLVM {chapters.llvm_major()}", fontsize=9)
    figure.tight_layout()
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else HERE / "exp.png")
