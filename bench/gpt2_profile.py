"""Where a step of ch.14 spends its time: part by part, with operations and bytes, and what the machine allows.

    .venv/bin/python bench/gpt2_profile.py [--cases prefill 1 8 32] [--dtype float32] [--threads 1]

The step itself counts (GPT2(clock=True)): each part's ticks, summed over the layers and over --rounds steps. A case
is "prefill" (one prompt of 512 tokens) or a batch of sequences that each get a token after --context others. GPT-2
124M's shapes, random weights. Operations and bytes: ch14_counts.py. Bytes: each operand once, whatever cache it is in.
The limit is the longer of operations / multiply-adds in registers and weights / reading memory, both measured in the
same run (int8 could do two of its multiply-adds where float32 does one: its shares may exceed 1).
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree, before ch8.py of this folder is found

# isort: split
import numpy as np
from limits import Machine
from timing import processor

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights
from ch14_counts import Chunk, step_parts
from ch14_weights import DTYPES

PROMPT = 512


def measure(model, case: str, context: int, rounds: int) -> tuple[dict[str, float], float]:
    """({part: seconds of a step}, seconds of a step as Python sees it): medians of `rounds` steps."""
    rng = np.random.default_rng(0)
    tokens, batch = (PROMPT, 1) if case == "prefill" else (context, int(case))
    ids = rng.integers(0, model.config.vocab_size, (batch, tokens))
    model.prefill(list(ids))
    parts, wholes = [], []
    for turn in range(rounds + 1):
        model.take_part_seconds()
        begin = time.perf_counter()
        if case == "prefill":
            model.prefill(list(ids))
        else:
            model.decode(ids[:, 0])
            for sequence in range(batch):  # back to the context
                model.cache.lengths[sequence] -= 1
        if turn:  # the first is for warming up
            wholes.append(time.perf_counter() - begin)
            parts.append(model.take_part_seconds())
    return {name: statistics.median(p[name] for p in parts) for name in parts[0]}, statistics.median(wholes)


def report(case: str, seconds: dict, whole: float, amounts: dict, peak: float, read: float) -> None:
    tokens = PROMPT if case == "prefill" else int(case)
    title = f"prefill {PROMPT}" if case == "prefill" else f"decode, batch {case}"
    print(f"\n{title}: {whole * 1e3:.2f} ms, {tokens / whole:.1f} tokens/s")
    print("| part | ms | % | MFLOP | GFLOP/s | MB of weights | other MB | GB/s | share of the limit |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")

    def row(name, taken, operations, weights, others):
        limit = max(operations / peak, weights / read)
        print(
            f"| {name} | {taken * 1e3:.3f} | {taken / whole * 100:.1f} | {operations / 1e6:.1f} | "
            f"{operations / taken / 1e9:.1f} | {weights / 1e6:.1f} | {others / 1e6:.2f} | "
            f"{(weights + others) / taken / 1e9:.1f} | {limit / taken:.2f} |"
        )

    total = np.zeros(3)
    for name, taken in seconds.items():
        total += amounts[name]
        row(name, taken, *amounts[name])
    between = whole - sum(seconds.values())
    print(f"| Python, checks | {between * 1e3:.3f} | {between / whole * 100:.1f} | | | | | | |")
    row("all", whole, *total)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", default=["prefill", "1", "8", "32"], help="prefill, or batches")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=12, help="layers of the model (default 12, GPT-2 124M)")
    parser.add_argument("--context", type=int, default=128, help="tokens before a decode (default 128)")
    parser.add_argument(
        "--rounds", type=int, default=7, help="steps, of which the median is printed (default 7)"
    )
    options = parser.parse_args()
    for case in options.cases:
        if case != "prefill" and not (case.isdigit() and int(case)):
            parser.error(f"--cases: expected prefill or a number of sequences, got {case}")

    config = GPT2Config(50257, options.layers, 12, 768, 1024)
    packed = gpt.PackedWeights.pack(GPT2Weights.random(config), dtype=options.dtype)
    model = gpt.GPT2(packed, num_threads=options.threads, clock=True)
    limits = Machine(options.threads)
    peak, read = limits.peak(), limits.read()
    print(
        f"GPT-2's shapes, {options.layers} layers, {options.dtype}, threads: {options.threads}; {processor()}: "
        f"{peak / 1e9:.0f} GFLOP/s, {read / 1e9:.1f} GB/s"
    )
    for case in options.cases:
        seconds, whole = measure(model, case, options.context, options.rounds)
        chunks = [Chunk(0, PROMPT)] if case == "prefill" else [Chunk(options.context, 1)] * int(case)
        parts = step_parts(config, chunks, options.dtype, paired="quantize" in seconds)
        amounts = {
            part.name: (part.flops, part.weight_bytes, part.cache_bytes + part.row_bytes) for part in parts
        }
        report(case, seconds, whole, amounts, peak, read)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
