"""Tokens per second of ch.14's step on GPT-2 124M's shapes, beside the engines people would use instead.

    .venv/bin/python bench/gpt2.py --peers PYTHON [--dtypes float32 bfloat16 int8] [--threads 1] [--rounds 5]

All engines read one folder of random weights in the precision of the table (llama.cpp's int8 is Q8_0), each in a
process of its own; they take turns, and what is printed is the median over rounds. Prefill: one prompt of 512 tokens.
Decode: one token for each of B sequences after --context tokens. The limits are measured in the same run: a loop of
multiply-adds in registers, and a loop that reads an array (limits.py).

--peers is a Python that has what bench/peers/requirements.txt names. An engine that cannot be imported, has no such
precision, says something else than the reference in NumPy, or takes longer than --limit seconds for a turn is left out,
and a line says why.

The second table says what else an engine costs. First start: from the start of a process to the first token after 5,
when the engine sees this model for the first time and writes its own format, packs or compiles; start: from then on.
Memory: what the process holds after that and a decode; without what it held before it saw the model, it is given in
units of the weights' bytes. Error: the greatest difference of a logit from float32, relative to the greatest logit.

The exit status is 1 where ours is more than 5 % below the floor of its row, FLOORS times the best peer; 2 where ours
could not be measured.
"""

import argparse
import contextlib
import math
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree, before ch8.py of this folder is found

# isort: split
import model_folder
import numpy as np
from gpt2_engines import Engine, Gone, start
from limits import Machine
from timing import processor
from tqdm import tqdm

from ch14_weights import SETTLED_S

OURS = "ours"
PROMPT, BATCHES = 512, (1, 8, 32)
PEERS = {
    "float32": ("PyTorch", "CTranslate2", "llama.cpp", "OpenVINO", "onnxruntime"),
    "bfloat16": ("PyTorch", "llama.cpp", "OpenVINO"),
    "int8": ("CTranslate2", "llama.cpp", "OpenVINO", "onnxruntime"),
}
# How far logits may be from the reference, relative to the greatest. In int8, some keep their rows in 7 or 8 bits.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.03, "int8": 0.2}
# What ours should reach, in units of the best peer of the run.
FLOORS = {
    "float32": {"prefill": 1.2, 1: 1.5, 8: 1.3, 32: 1.3},
    "bfloat16": {"prefill": 1.2, 1: 1.15, 8: 1.3, 32: 1.3},
    "int8": {"prefill": 1.0, 1: 1.5, 8: 1.3, 32: 1.3},
}
BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
HEAD = 768 * 50257  # weights of the head, which are the embedding's


def weights_of(layers: int) -> int:
    return 7_077_888 * layers


def ask(engines: list[Engine], engine: Engine, line: str, limit: float) -> float | None:
    """Seconds that it took; None where it is gone, and then it is no longer among the engines."""
    try:
        return engine.ask(line, limit)
    except Gone as gone:
        tqdm.write(str(gone), file=sys.stderr)
        engines.remove(engine)
        return None


def measure(engines: list[Engine], limits: Machine, options, bar: tqdm) -> tuple[dict, dict]:
    """({case: {engine: tokens per second}}, {limit: median rate}). A case is "prefill" or a batch.

    Prefill, where a turn may take longest, comes last: whoever is left out there has its decodes.
    """
    engines = list(engines)
    pause = (
        0.3 if options.threads > 1 else 0
    )  # threads look for work in a loop for a while, on somebody else's core
    speeds, rates = {}, {"peak": [], "read": []}
    for case in (*BATCHES, "prefill"):
        line, tokens = (f"start 1 {PROMPT}", PROMPT) if case == "prefill" else ("decode", case)
        for engine in list(engines):
            if case != "prefill":
                ask(engines, engine, f"fill {case} {options.context}", options.limit)
        samples = {engine.name: [] for engine in engines}
        for turn in range(options.rounds + 1):
            rates["peak"].append(limits.peak())
            rates["read"].append(limits.read())
            for engine in list(engines):
                time.sleep(pause)
                seconds = ask(engines, engine, line, options.limit)
                if turn and seconds is not None:  # the first is for warming up
                    samples[engine.name].append(seconds)
            bar.update()
        speeds[case] = {name: tokens / statistics.median(taken) for name, taken in samples.items() if taken}
    return speeds, {name: statistics.median(values) for name, values in rates.items()}


def report_speeds(dtype: str, speeds: dict, rates: dict, names: list[str], layers: int) -> bool:
    """Prints a table; returns whether every floor was reached."""
    print(f"\n{dtype}: tokens per second")
    print(f"| | {' | '.join(names)} | ours / best peer | floor | share of the limit |")
    print(f"|---|{'---:|' * len(names)}---:|---:|---:|")
    reached = True
    for case in ("prefill", *BATCHES):
        speed = speeds[case]
        ours = speed.get(OURS, math.nan)
        best = max((value for name, value in speed.items() if name != OURS), default=math.nan)
        floor = FLOORS[dtype][case]
        numbers = weights_of(layers) + (0 if case == "prefill" else HEAD)
        if case == 1:
            share = f"{ours * numbers * BYTES[dtype] / rates['read']:.2f} of reading"
        else:
            share = f"{ours * 2 * numbers / rates['peak']:.2f} of the f32 peak"
        reached &= not ours / best < 0.95 * floor
        label = f"prefill {PROMPT}" if case == "prefill" else f"decode, batch {case}"
        values = " | ".join(f"{speed[name]:.1f}" if name in speed else "" for name in names)
        print(f"| {label} | {values} | {ours / best:.2f} | {floor} | {share} |")
    return reached


def report_costs(dtype: str, engines: list[Engine], layers: int) -> None:
    weights_mb = (weights_of(layers) + HEAD) * BYTES[dtype] / 1e6
    print(f"\n{dtype}: what else it costs (the weights are {weights_mb:.0f} MB)")
    print("| | first start, s | of that compiling | start, s | memory, MB | in weights | error | |")
    print(f"|---|{'---:|' * 6}---|")
    for engine in engines:
        compiling = "" if engine.compile_seconds is None else f"{engine.compile_seconds:.2f}"
        in_weights = (engine.memory_mb - engine.imported_mb) / weights_mb
        print(
            f"| {engine.name} | {engine.first_start_seconds:.2f} | {compiling} | {engine.first_token_seconds:.2f} "
            f"| {engine.memory_mb:.0f} | {in_weights:.2f} | {engine.error:.1e} | {engine.about} |"
        )


def write_reference(folder: pathlib.Path) -> pathlib.Path:
    """A few texts, and the logits after them."""
    ids = np.random.default_rng(0).integers(1, model_folder.GPT2_124M["vocab_size"], (2, 9)).astype(np.int32)
    np.savez(folder / "reference.npz", ids=ids, logits=model_folder.reference_logits(folder, ids))
    return folder / "reference.npz"


def run(
    dtype: str, folder: pathlib.Path, reference: pathlib.Path, limits: Machine, options, log
) -> bool | None:
    """Measures and prints one precision; whether every floor was reached, None where ours is not to be had."""
    turns = (1 + len(BATCHES)) * (options.rounds + 1)
    with contextlib.ExitStack() as stack, tqdm(total=turns, desc=dtype, file=sys.stderr) as bar:
        found = []
        for name in (OURS, *PEERS[dtype]):
            bar.set_postfix_str(f"{name} starts")
            python = sys.executable if name == OURS else options.peers
            try:
                engine = start(
                    python, name, folder, dtype, options.threads, log, reference, TOLERANCES[dtype]
                )
            except Gone as gone:
                tqdm.write(str(gone), file=sys.stderr)
                continue
            stack.callback(engine.close)
            found.append(engine)
        if not found or found[0].name != OURS:
            return None
        bar.set_postfix_str("")
        speeds, rates = measure(found, limits, options, bar)
    print(
        f"\nGPT-2's shapes, {options.layers} layers, threads: {options.threads}; {processor()}: "
        f"{rates['peak'] / 1e9:.0f} GFLOP/s, {rates['read'] / 1e9:.1f} GB/s"
    )
    reached = report_speeds(dtype, speeds, rates, [engine.name for engine in found], options.layers)
    report_costs(dtype, found, options.layers)
    sys.stdout.flush()
    return reached


def count(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text}")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtypes", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=count, default=5, help="timed turns of each engine (default 5)")
    parser.add_argument(
        "--layers", type=count, default=12, help="layers of the model (default 12, GPT-2 124M)"
    )
    parser.add_argument("--threads", type=count, default=1, help="threads of every engine (default 1)")
    parser.add_argument("--context", type=count, default=128, help="tokens before a decode (default 128)")
    parser.add_argument(
        "--limit", type=float, default=60, help="seconds a turn of an engine may take (default 60)"
    )
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--log", default="/dev/null", help="a file for what engines print")
    options = parser.parse_args()
    if options.context > 900:
        parser.error(f"--context: expected at most 900, of GPT-2's 1024 positions, got {options.context}")
    if not shutil.which(options.peers):
        parser.error(f"--peers: there is no program {options.peers}")
    if not options.limit > 0:
        parser.error(f"--limit: expected more than 0 seconds, got {options.limit:g}")

    reached = []
    limits = Machine(options.threads)
    with open(options.log, "w") as log, tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model_folder.write(folder, n_layer=options.layers)
        reference = write_reference(folder)
        time.sleep(SETTLED_S)  # of files that are younger than that, ch.14 keeps nothing for the next start
        for dtype in options.dtypes:
            reached.append(run(dtype, folder, reference, limits, options, log))
    return 2 if None in reached else 0 if all(reached) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped; tables that are complete are above")
