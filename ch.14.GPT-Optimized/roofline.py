"""The roofline of this machine, and on it every part of a step: a prompt, and one more token of 1, 8 and 32 texts.

    python roofline.py [--dtype float32] [--layers 12] [--rounds 5] [--plot FILE]

measures the two limits (a loop of multiply-adds on registers; a loop that reads an array larger than the caches) and,
in turns with them, the parts of the step on GPT-2 124M's shapes with random weights. Prints, for each part: its time,
operations and bytes (ch14_counts.py says how they are counted), operations a byte, GFLOP/s, and the share of what the
roofline allows at that intensity. A share above 1 is a part whose rows or keys come from a cache and not from memory.
One thread. --plot writes the picture of the lesson (it needs matplotlib); a point's area is its share of the time.
"""

import argparse
import pathlib
import statistics
import sys
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import numpy as np
from limits import Machine
from timing import processor
from tqdm import tqdm

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
from ch14_counts import WEIGHT_BYTES, Chunk, Part, attainable, step_parts, total

PROMPT, BATCHES = 512, (1, 8, 32)


class Case(NamedTuple):
    name: str
    chunks: list[Chunk]
    call: object  # one step; the cache is afterwards as it was before


class Limits(NamedTuple):
    """Operations and bytes a second."""

    peak: float
    read: float


def cases(model: gpt.GPT2, context: int) -> list[Case]:
    """A prompt, and decodes. The keys and values of the past are random numbers: what they are costs no time."""
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, model.config.vocab_size, PROMPT)
    found = [Case(f"prefill {PROMPT}", [Chunk(0, PROMPT)], lambda: model.prefill([prompt]))]
    for batch in BATCHES:
        found.append(
            Case(f"decode, batch {batch}", [Chunk(context, 1)] * batch, decode(model, batch, context))
        )
    return found


def decode(model: gpt.GPT2, batch: int, context: int):
    """A callable: one token for each of `batch` sequences that have `context` tokens behind them."""
    rng = np.random.default_rng(batch)
    ids = rng.integers(0, model.config.vocab_size, batch)
    filled = None

    def call():
        nonlocal filled
        if len(model.cache.tables) != batch or any(length != context for length in model.cache.lengths):
            model.cache.clear()
            for _ in range(batch):
                model.cache.extend(model.cache.add_sequence(), context)
        if filled is not model.cache.k:  # it grew
            for array in (model.cache.k, model.cache.v):
                array[:] = rng.standard_normal(array.shape[-2:], np.float32)
            filled = model.cache.k
        model.decode(ids)
        model.cache.lengths[:] = [context] * batch

    return call


def measure(model: gpt.GPT2, found: list[Case], rounds: int) -> tuple[dict[str, dict[str, float]], Limits]:
    """({case: {part: seconds of a step}}, the limits): medians of rounds in which all take turns."""
    machine = Machine()
    rates: list[Limits] = []
    samples: dict[str, list[dict[str, float]]] = {case.name: [] for case in found}
    for turn in tqdm(range(rounds + 1), desc="rounds", file=sys.stderr, disable=None, leave=False):
        rates.append(Limits(machine.peak(), machine.read()))
        for case in found:
            case.call()  # weights and pages of this case, and not of the last, are in the caches
            model.take_part_seconds()
            case.call()
            if turn:  # the first is for warming up
                samples[case.name].append(model.take_part_seconds())
    seconds = {
        name: {part: statistics.median(s[part] for s in taken) for part in taken[0]}
        for name, taken in samples.items()
    }
    return seconds, Limits(*(statistics.median(r) for r in zip(*rates)))


def print_table(parts: list[Part], seconds: dict[str, float], limits: Limits) -> None:
    whole = sum(seconds.values())
    print(f"{'':<12}{'ms':>9}{'%':>6}{'MFLOP':>10}{'MB':>9}{'FLOP/B':>8}{'GFLOP/s':>9}{'of roof':>9}")
    for part in [*parts, total(parts)]:
        taken = seconds.get(part.name, whole)
        rate = part.flops / taken
        roof = attainable(part.intensity, *limits)
        share = f"{rate / roof:.2f}" if part.flops else ""
        print(
            f"{part.name:<12}{taken * 1e3:>9.3f}{taken / whole * 100:>6.1f}{part.flops / 1e6:>10.1f}"
            f"{part.num_bytes / 1e6:>9.2f}{part.intensity:>8.2f}{rate / 1e9:>9.1f}{share:>9}"
        )


MARKERS = {
    "qkv": "s",
    "attention": "*",
    "out": "P",
    "up": "^",
    "down": "v",
    "head": "D",
    "norm 1": ".",
    "norm 2": ".",
    "embed": "x",
    "quantize": "1",
    "final norm": ".",
}


def draw(found: list[Case], config, dtype, seconds, limits: Limits, title: str, file: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(figsize=(9, 5.4), dpi=110)
    x = np.geomspace(0.1, 1000, 200)
    axes.plot(x, [attainable(i, *limits) / 1e9 for i in x], color="black", linewidth=1.1)
    axes.annotate(
        f"reading memory, {limits.read / 1e9:.0f} GB/s",
        (0.12, 0.12 * limits.read / 1e9),
        xytext=(0, 7),
        textcoords="offset points",
        rotation=44,
        rotation_mode="anchor",
        fontsize=8,
    )
    axes.axvline(limits.peak / limits.read, color="black", linewidth=0.5, linestyle=":")
    colors = ["tab:red", "tab:blue", "tab:green", "tab:orange"]
    drawn = set()
    for case, color in zip(found, colors):
        whole = sum(seconds[case.name].values())
        for part in step_parts(config, case.chunks, dtype):
            taken = seconds[case.name][part.name]
            if part.flops and taken > 0.0005 * whole:
                drawn.add(part.name)
                axes.scatter(
                    part.intensity,
                    part.flops / taken / 1e9,
                    s=20 + 350 * taken / whole,
                    marker=MARKERS[part.name],
                    color=color,
                    alpha=0.55,
                    linewidths=0.8,
                )
    axes.annotate(
        f"multiply-adds on registers, {limits.peak / 1e9:.0f} GFLOP/s",
        (950, limits.peak / 1e9),
        xytext=(0, 12),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="GFLOP/s", title=title)
    axes.set_xlim(0.1, 1000)
    axes.set_ylim(1, 2 * limits.peak / 1e9)
    axes.grid(True, which="major", linewidth=0.3)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=c, label=case.name) for case, c in zip(found, colors)
    ]
    axes.add_artist(axes.legend(handles=handles, loc="lower right", fontsize=8))
    names = [name for name in MARKERS if name in drawn and name not in ("norm 2", "final norm")]
    handles = [
        Line2D([], [], marker=MARKERS[n], linestyle="", color="gray", label="norms" if n == "norm 1" else n)
        for n in names
    ]
    axes.legend(handles=handles, loc="upper left", fontsize=8)
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
    parser.add_argument("--dtype", choices=list(WEIGHT_BYTES), default="float32")
    parser.add_argument("--layers", type=positive, default=12, help="layers (12, which is GPT-2 124M)")
    parser.add_argument("--context", type=positive, default=128, help="tokens before a decode (128)")
    parser.add_argument("--rounds", type=positive, default=5, help="how often each is timed (5)")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="writes the picture there")
    options = parser.parse_args()

    config = GPT2Config(50257, options.layers, 12, 768, 1024)
    packed = gpt.PackedWeights.pack(GPT2Weights.random(config), dtype=options.dtype)
    model = gpt.GPT2(packed, clock=True)
    found = cases(model, options.context)
    seconds, limits = measure(model, found, options.rounds)
    title = f"GPT-2's shapes, {options.layers} layers, {options.dtype}, one thread of {processor()}"
    print(f"{title}: {limits.peak / 1e9:.0f} GFLOP/s, {limits.read / 1e9:.1f} GB/s")
    print(f"the two limits meet at {limits.peak / limits.read:.1f} operations a byte")
    for case in found:
        print(f"\n{case.name}")
        print_table(step_parts(config, case.chunks, options.dtype), seconds[case.name], limits)
    if options.plot:
        draw(found, config, options.dtype, seconds, limits, title, options.plot)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
