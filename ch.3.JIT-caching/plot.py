"""Draws first_call.png: the first calls of a process, and what it takes to answer n distinct shapes.

    python3 plot.py [FILE]

Needs matplotlib (`pip install matplotlib`). Measures with the functions of bench/ch3.py.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import chapters

import ch3_jit_caching as ch3

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    bench = chapters.run_script(HERE.parent / "bench" / "ch3.py")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")

    calls = bench.first_calls()
    left.plot(range(1, len(calls) + 1), [1e6 * s for s in calls], "o-")
    left.set(yscale="log", xlabel="call of gemm in a process", ylabel="µs", ylim=(1, None))
    left.set_title("one call after the other, 8x32 by 32x16", fontsize=10)

    for gemm, label in [(ch3.gemm_fixed, "a function for each shape"), (ch3.gemm, "one function for all")]:
        times = bench.answering(gemm)
        right.plot(range(1, len(times) + 1), [1e3 * s for s in times], label=label)
    right.set(xlabel="distinct shapes answered", ylabel="ms since the first was asked for")
    right.set_title("each shape once, from an empty cache", fontsize=10)
    right.set(xlim=(0, None), ylim=(0, None))
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(sys.argv[1] if sys.argv[1:] else HERE / "first_call.png", dpi=100)


if __name__ == "__main__":
    main()
