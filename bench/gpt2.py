"""Tokens per second of ch.14's step on GPT-2 124M's shapes, beside the engines people would use instead.

    .venv/bin/python bench/gpt2.py [--dtypes float32 bfloat16 int8] [--threads 1] [--rounds 5] [--peers PYTHON]

Each engine runs in a process of its own, with random weights of that shape, in the precision of its row (llama.cpp's
int8 is Q8_0); they take turns, and what is printed is the median over rounds. Prefill: one prompt of 512 tokens.
Decode: one token for each of B sequences after --context tokens. The limits are measured in the same run: a loop of
multiply-adds in registers, and a loop that reads an array. --peers is a Python that has the peers (torch,
ctranslate2, llama-cpp-python, gguf); one that cannot be imported is left out, and named, and so is one that takes
longer than --limit seconds for a turn.

The exit status is 1 where ours is more than 5 % below the floor of its row: FLOORS times the best peer.
"""

import argparse
import pathlib
import select
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree, before ch8.py of this folder is found

# isort: split
from limits import peak_candidate, read_candidate
from timing import processor
from tqdm import tqdm

PROMPT, BATCHES = 512, (1, 8, 32)
PEERS = {
    "float32": ("PyTorch", "CTranslate2", "llama.cpp"),
    "bfloat16": ("PyTorch", "llama.cpp"),
    "int8": ("CTranslate2", "llama.cpp"),
}
# What ours should reach, in units of the best peer of the run.
FLOORS = {
    "float32": {"prefill": 1.2, 1: 1.5, 8: 1.3, 32: 1.3},
    "bfloat16": {"prefill": 1.2, 1: 1.15, 8: 1.3, 32: 1.3},
    "int8": {"prefill": 1.0, 1: 1.5, 8: 1.3, 32: 1.3},
}


class Engine:
    """A process of gpt2_peers.py."""

    def __init__(self, python: str, name: str, dtype: str, threads: int, layers: int):
        self.name = name
        script = pathlib.Path(__file__).with_name("gpt2_peers.py")
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [python, str(script), name, dtype, str(threads), str(layers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        state, _, self.about = (self.process.stdout.readline().strip() or "failed without a word").partition(
            " "
        )
        self.ready = state == "ready"
        self.ready_seconds = time.perf_counter() - begin

    def ask(self, line: str, limit: float) -> float:
        """Seconds that the engine took; TimeoutError, and the end of its process, where they are more than `limit`."""
        print(line, file=self.process.stdin, flush=True)
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.process.kill()
            raise TimeoutError(f"{self.name} is left out: `{line}` took more than {limit:g} s")
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended in the middle of `{line}`")
        return float(answer)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait()


def ask(engines: list[Engine], engine: Engine, line: str, limit: float) -> float | None:
    """Seconds that it took; None where it took too long, and then it is no longer among the engines."""
    try:
        return engine.ask(line, limit)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        engines.remove(engine)
        engine.close()
        return None


def measure(engines: list[Engine], limits: dict, options, bar: tqdm) -> tuple[dict, dict]:
    """({case: {engine: tokens per second}}, {limit: median rate}). A case is "prefill" or a batch."""
    samples: dict = {}
    rates: dict = {name: [] for name in limits}
    for case in ("prefill", *BATCHES):
        batch = 1 if case == "prefill" else case
        if case != "prefill":
            for engine in list(engines):
                ask(engines, engine, f"start {batch} {options.context}", options.limit)
        for turn in range(options.rounds + 1):
            for name, (call, work) in limits.items():
                begin = time.perf_counter()
                call()
                rates[name].append(work / (time.perf_counter() - begin))
            for engine in list(engines):
                line = f"start 1 {PROMPT}" if case == "prefill" else "decode"
                seconds = ask(engines, engine, line, options.limit)
                if turn and seconds is not None:  # the first is for warming up
                    samples.setdefault(case, {}).setdefault(engine.name, []).append(seconds)
            bar.update()
    tokens = {case: PROMPT if case == "prefill" else case for case in samples}
    speeds = {
        case: {name: tokens[case] / statistics.median(seconds) for name, seconds in taken.items()}
        for case, taken in samples.items()
    }
    return speeds, {name: statistics.median(values) for name, values in rates.items()}


def report(dtype: str, speeds: dict, limits: dict, engines: list[Engine], layers: int) -> bool:
    """Prints a table; returns whether every floor was reached."""
    weights = 7_077_888 * layers  # of the blocks; the head has 38.6 million
    size = {"float32": 4, "bfloat16": 2, "int8": 1}[dtype]
    names = [engine.name for engine in engines]
    print(f"\n{dtype}: tokens per second")
    print(f"| | {' | '.join(names)} | ours / best peer | floor | share of the limit |")
    print(f"|---|{'---|' * len(names)}---|---|---|")
    reached = True
    for case, speed in speeds.items():
        ours = speed["ours"]
        best = max((value for name, value in speed.items() if name != "ours"), default=float("nan"))
        floor = FLOORS[dtype][case]
        numbers = weights if case == "prefill" else weights + 768 * 50257
        if case == 1:
            share = f"{ours * numbers * size / limits['read']:.2f} of reading"
        else:
            share = f"{ours * 2 * numbers / limits['peak']:.2f} of the f32 peak"
        reached &= not ours / best < 0.95 * floor
        label = f"prefill {PROMPT}" if case == "prefill" else f"decode, batch {case}"
        values = " | ".join(f"{speed[name]:.1f}" if name in speed else "" for name in names)
        print(f"| {label} | {values} | {ours / best:.2f} | {floor} | {share} |")
    for engine in engines:
        print(f"{engine.name}: {engine.about}; ready after {engine.ready_seconds:.1f} s")
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dtypes", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each engine (default 5)")
    parser.add_argument("--layers", type=int, default=12, help="layers of the model (default 12, GPT-2 124M)")
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine (default 1)")
    parser.add_argument("--context", type=int, default=128, help="tokens before a decode (default 128)")
    parser.add_argument(
        "--limit", type=float, default=30, help="seconds a turn of an engine may take (default 30)"
    )
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the peers")
    options = parser.parse_args()

    limits = {
        "peak": peak_candidate(options.threads),
        "read": read_candidate(256 << 20, options.threads),
    }
    reached = True
    for dtype in options.dtypes:
        engines = []
        for name in ("ours", *PEERS[dtype]):
            python = sys.executable if name == "ours" else options.peers
            engine = Engine(python, name, dtype, options.threads, options.layers)
            if engine.ready:
                engines.append(engine)
            else:
                print(f"{name} is left out: {engine.about}", file=sys.stderr)
        if not engines or engines[0].name != "ours":
            return 2
        turns = (1 + len(BATCHES)) * (options.rounds + 1)
        with tqdm(total=turns, desc=dtype, file=sys.stderr) as bar:
            speeds, rates = measure(engines, limits, options, bar)
        if dtype == options.dtypes[0]:
            print(
                f"GPT-2's shapes, {options.layers} layers, threads: {options.threads}; {processor()}: "
                f"{rates['peak'] / 1e9:.0f} GFLOP/s, {rates['read'] / 1e9:.1f} GB/s"
            )
        reached &= report(dtype, speeds, rates, engines, options.layers)
        for engine in engines:
            engine.close()
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
