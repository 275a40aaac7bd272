"""ch.16's engine and server beside transformers' static batches, llama.cpp's llama_decode and llama.cpp's own server.

    python3 bench/serving_peers.py --peers PYTHON                      the bundled model, float32
    python3 bench/serving_peers.py --peers PYTHON --model gpt2-124m    random weights of GPT-2's shape
    python3 bench/serving_peers.py --peers PYTHON --dtype int8         8-bit weights: ours, and llama.cpp's Q8_0

PYTHON is an interpreter with the packages llama-cpp-python, gguf, xllamacpp and safetensors (transformers and PyTorch
for its row); it may be a virtual environment of its own. All engines read the same folder of weights, run in processes
of their own on the same number of threads, and take turns; a figure is the median of the rounds. Every round has new
prompts, so that no prefix cache finds any. Servers are asked over HTTP, whole answers, all requests at once.

"alike" is --slots requests with prompts of 32 tokens that want equally many more; "mixed" is twice as many requests, of
16 to 48 tokens and answers of 8 to as many, of which --slots run at a time.

Exits with 1 where ours, called from Python or over HTTP, makes less than --floor times the tokens per second of
llama.cpp's same kind on the first workload, where fewer than nine in ten of the greedy tokens agree (float32), or
where one of --engines cannot be had.
"""

import argparse
import asyncio
import contextlib
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx
import numpy as np

import chapters

# isort: split
import model_folder

HERE = pathlib.Path(__file__).resolve().parent
OURS, SERVER = "ours", "ours, over HTTP"
PEERS = {OURS: "llama.cpp", SERVER: "llama.cpp server"}  # what each is to be compared with
ENGINES = (OURS, "llama.cpp", "transformers", SERVER, "llama.cpp server")


class Engine:
    """A process that answers: by lines of JSON, or over HTTP."""

    def __init__(self, name: str, folder: pathlib.Path, args, log):
        self.name, self.url, self.about = name, None, ""
        if name == SERVER:
            options = ["--model", str(folder), "--dtype", args.dtype, "--threads", str(args.threads)]
            options += [
                "--port",
                "0",
                "--max-batch-size",
                str(args.slots),
                "--kv-cache-pages",
                str(args.slots * 8),
            ]
            command = [sys.executable, "-m", "nano_engine", "serve", *options]
            self.process = subprocess.Popen(
                command, env=chapters.environment(), stdout=log, stderr=subprocess.PIPE, text=True
            )
            ready = self.process.stderr.readline()
            self.url = found[1] if (found := re.match(r"ready: (\S+)", ready)) else None
            self.failure = None if self.url else ready.strip()
            self.about = "python -m nano_engine serve"
            return
        python = sys.executable if name == OURS else args.peers
        command = [python, HERE / "serving_engines.py", name, folder, args.dtype, args.threads, args.slots]
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        self.failure = None if word == "ready" else rest or "it ended without a word"
        self.about = rest
        if rest.startswith("http"):
            self.url, _, self.about = rest.partition(" ")

    def answer(self, prompts, num_tokens) -> tuple[float, list[list[int]] | None]:
        """(seconds, answers); our server tells texts and no tokens, so there answers are None."""
        if self.url:
            begin = time.perf_counter()
            answers = asyncio.run(ask_all(self.url, self.name == SERVER, prompts, num_tokens))
            return time.perf_counter() - begin, answers
        self.process.stdin.write(json.dumps({"prompts": prompts, "num_tokens": num_tokens}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended in the middle; --log FILE shows what it wrote")
        answered = json.loads(line)
        return answered["seconds"], answered["answers"]

    def close(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
            return
        self.process.kill()


async def ask_all(url: str, is_ours: bool, prompts, num_tokens) -> list[list[int]] | None:
    async def ask(client, prompt, num):
        if is_ours:
            body = {"prompt": prompt, "max_tokens": num, "temperature": 0, "ignore_eos": True}
            response = await client.post(url + "/v1/completions", json=body)
            response.raise_for_status()
            assert response.json()["usage"]["completion_tokens"] == num
            return None
        body = {"prompt": prompt, "n_predict": num, "temperature": 0, "ignore_eos": True}
        body |= {"samplers": ["temperature"], "cache_prompt": False, "return_tokens": True}
        response = await client.post(url + "/completion", json=body)
        response.raise_for_status()
        return response.json()["tokens"]

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits) as client:
        answers = await asyncio.gather(*(ask(client, *pair) for pair in zip(prompts, num_tokens)))
    return None if is_ours else answers


def workload(name: str, args, vocab_size: int, seed: int) -> tuple[list[list[int]], list[int]]:
    rng = np.random.default_rng(seed)
    if name == "alike":
        sizes, nums = [32] * args.slots, [args.num_tokens] * args.slots
    else:
        sizes = rng.integers(16, 49, 2 * args.slots).tolist()
        nums = rng.integers(8, args.num_tokens + 1, 2 * args.slots).tolist()
    # Token 0 ends a text, and the byte-level tokens after it may stand for half a character.
    return [rng.integers(1, vocab_size, size).tolist() for size in sizes], nums


def agreement(ours, theirs) -> float:
    """The part of the tokens up to which each answer is the same, over all answers."""
    same = [next((i for i, (a, b) in enumerate(zip(x, y)) if a != b), len(x)) for x, y in zip(ours, theirs)]
    return sum(same) / sum(map(len, ours))


def make_folder(args, into: pathlib.Path) -> pathlib.Path:
    """The model as a folder that all engines read; random weights are written down first."""
    if args.model != "gpt2-124m":
        return pathlib.Path(args.model or chapters.ROOT / "models" / "shakespeare")
    model_folder.write(into, n_layer=args.layers or model_folder.GPT2_124M["n_layer"])
    return into


def measure(args, engines: dict[str, Engine], vocab_size: int) -> tuple[dict, dict]:
    """({workload: {engine: tokens per second}}, {engine: part of greedy tokens that are ours})."""
    rates, alike = {}, {}
    for name in args.workloads:
        samples = {engine: [] for engine in engines}
        for turn in range(args.rounds + 1):
            prompts, nums = workload(name, args, vocab_size, seed=1000 + turn)
            if not turn:  # warms up: memory, kernels, connections
                nums = [2] * len(nums)
            answers = {}
            for engine in engines.values():
                seconds, answers[engine.name] = engine.answer(prompts, nums)
                if turn:
                    samples[engine.name].append(sum(nums) / seconds)
            for engine, theirs in answers.items():
                if theirs is not None and engine != OURS:
                    assert list(map(len, theirs)) == nums, f"{engine} wrote {list(map(len, theirs))} tokens"
                    if turn:
                        alike.setdefault(engine, []).append(agreement(answers[OURS], theirs))
        rates[name] = {engine: statistics.median(values) for engine, values in samples.items()}
    return rates, {engine: statistics.mean(values) for engine, values in alike.items()}


def report(args, engines, rates, alike) -> bool:
    """Prints a table; whether the floors hold."""
    columns = [*rates, "ours is", "same tokens"]
    print("| tokens/s | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    good = True
    for name in engines:
        cells = [f"{rates[w][name]:.0f}" for w in rates]
        own = SERVER if "server" in name and SERVER in engines else OURS
        is_peer = name not in PEERS
        cells.append(
            ", ".join(f"{rates[w][own] / rates[w][name]:.2f} times" for w in rates) if is_peer else ""
        )
        cells.append(f"{alike[name]:.1%}" if name in alike else "")
        print(f"| {name} | " + " | ".join(cells) + " |")
    first = args.workloads[0]
    for own, peer in PEERS.items():
        if own in engines and peer in engines and rates[first][own] < args.floor * rates[first][peer]:
            ratio = rates[first][own] / rates[first][peer]
            print(
                f"{own} makes {ratio:.2f} times the tokens of {peer}, expected at least {args.floor}",
                file=sys.stderr,
            )
            good = False
    least = 0.9 if args.dtype == "float32" else 0.0  # 8 bits are rounded in two ways
    for engine, part in alike.items():
        if part < least:
            print(f"{part:.1%} of {engine}'s greedy tokens are ours, expected {least:.0%}", file=sys.stderr)
            good = False
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", metavar="PYTHON", required=True, help="the interpreter of the peers")
    parser.add_argument(
        "--model", metavar="DIR", help="a folder, or gpt2-124m; without it, the bundled model"
    )
    parser.add_argument("--layers", type=int, help="of gpt2-124m, where 12 take too long or do not fit")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "int8"])
    parser.add_argument("--threads", type=int, default=1, help="of each engine (1)")
    parser.add_argument("--slots", type=int, default=32, help="requests at once (32)")
    parser.add_argument("--num-tokens", type=int, default=64, help="tokens of an answer, at most 64 (64)")
    parser.add_argument("--rounds", type=int, default=3, help="after one that warms up (3)")
    parser.add_argument("--floor", type=float, default=1.3, help="ours over llama.cpp's (1.3)")
    parser.add_argument("--workloads", nargs="+", choices=["alike", "mixed"], default=["alike", "mixed"])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, metavar="NAME", help="which (all)")
    parser.add_argument("--log", default="/dev/null", help="a file for what the engines print")
    args = parser.parse_args()
    if args.engines is None:  # transformers has no 8-bit weights for CPUs
        args.engines = [name for name in ENGINES if name != "transformers" or args.dtype != "int8"]
    if shutil.which(args.peers) is None:
        parser.error(f"--peers {args.peers} is no program")
    if OURS not in args.engines or not 1 <= args.num_tokens <= 64 or args.slots < 1 or args.rounds < 1:
        parser.error('--engines must hold "ours", --num-tokens be 1 to 64, --slots and --rounds at least 1')

    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(args.log, "w"))
        folder = make_folder(args, pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())))
        engines, missing = {}, []
        for name in args.engines:
            engine = Engine(name, folder, args, log)
            stack.callback(engine.close)
            if engine.failure:
                print(f"{name} is left out: {engine.failure}", file=sys.stderr)
                missing.append(name)
                continue
            engines[name] = engine
            print(f"{name}: {engine.about}", file=sys.stderr)
        if OURS in missing:
            return 1
        vocab_size = json.loads((folder / "config.json").read_text())["vocab_size"]
        rates, alike = measure(args, engines, vocab_size)
    print(
        f"\n{args.model or 'the bundled model'}, {args.dtype}, {args.threads} threads, {args.slots} at once:\n"
    )
    return 0 if report(args, engines, rates, alike) and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
