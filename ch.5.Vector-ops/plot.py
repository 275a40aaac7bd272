"""Draws bandwidth.png: GB/s of the three kernels, a copy and NumPy over the size of the arrays.

    python3 plot.py [FILE]

What is measured is in bench/ch5.py.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import matplotlib.pyplot as plt

import chapters

HERE = pathlib.Path(__file__).resolve().parent

CASES = {  # case of bench/ch5.py: how it is drawn
    "scf": {"color": "tab:blue", "marker": "o"},
    "linalg": {
        "color": "tab:green",
        "marker": "x",
        "linestyle": "none",
        "label": "linalg (the same code as scf)",
    },
    "vector": {"color": "tab:red", "marker": "s"},
    "scf, in place": {"color": "tab:blue", "linestyle": ":", "label": "scf, result in B"},
    "vector, in place": {"color": "tab:red", "linestyle": ":", "label": "vector, result in B"},
    "copy": {"color": "black", "linestyle": "--", "label": "copy (memcpy)"},
    "NumPy": {"color": "tab:orange", "marker": "^", "label": "NumPy, alpha * A + B"},
}


def caches() -> dict[str, int]:
    """{"L1": bytes, …} of this machine's data caches, where the system tells."""
    found = {}
    for folder in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (folder / "type").read_text().strip() != "Instruction":
            size = re.fullmatch(r"(\d+)K\n?", (folder / "size").read_text())
            found["L" + (folder / "level").read_text().strip()] = 1024 * int(size[1])
    return found


def main(file: pathlib.Path) -> None:
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch5.py")
    sizes = [2**k for k in range(6, 25)]
    results = [bench.gigabytes_a_second(n) for n in sizes]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for case, style in CASES.items():
        num_arrays = 2 if case in ("copy", "scf, in place", "vector, in place") else 3
        memory = [4 * num_arrays * n for n in sizes]
        axes.plot(memory, [r[case] for r in results], **{"label": case, "markersize": 4, **style})
    for name, size in caches().items():
        axes.axvline(size, color="0.8", zorder=0)
        axes.annotate(
            name, (size, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", color="0.4"
        )
    axes.set_xscale("log", base=2)
    ticks = [2**10, 2**15, 2**20, 2**25]
    axes.set_xticks(ticks, ["1 KiB", "32 KiB", "1 MiB", "32 MiB"])
    axes.set_xlabel("memory of all arrays together")
    axes.set_ylabel("GB/s (12 bytes an element; copy: 8)")
    axes.set_ylim(bottom=0)
    axes.set_title(f"saxpy, one thread, {bench.processor()}", fontsize=10, pad=18)
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "bandwidth.png")
