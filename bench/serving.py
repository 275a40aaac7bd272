"""What continuous batching, chunks and worst-case reservation do, on one model: the figures of ch.16's README.

    python3 bench/serving.py                      the bundled model
    python3 bench/serving.py --model gpt2-124m    random weights of GPT-2's shape, shorter requests
    python3 bench/serving.py --clock cpu          processor time, for a machine that is busy with other things

Each table is measured in one run with its cases in turn, and shows medians. The requests are greedy and ignore the end
of text, so that all cases compute the same tokens; that they do is checked.
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch13_weights
import ch14_gpt_optimized as gpt
from nano_engine import NanoServingEngine, SamplingParams, continuous_batcher

SHAPES = {
    "gpt2-124m": ch13_weights.GPT2Config(
        vocab_size=50257, n_layer=12, n_head=12, n_embd=768, n_positions=1024
    ),
}


def make_engine(args, **options) -> NanoServingEngine:
    return NanoServingEngine(args.weights.config, args.weights, model=args.gpt2, **options)


def prompts_of(args, num: int, num_tokens: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, args.weights.config.vocab_size, (num, num_tokens)).tolist()


def throughput(args) -> None:
    """{num} requests of 32 + {num_tokens} tokens, with more and more of them running at once."""
    prompts = prompts_of(args, args.num, 32)
    params = SamplingParams(max_tokens=args.num_tokens, ignore_eos=True)
    sizes = [size for size in (1, 4, 8, 16, 32) if size <= args.num]
    engines = {size: make_engine(args, max_batch_size=size) for size in sizes}
    seconds = {size: [] for size in sizes}
    answers = set()
    for _ in range(args.repeat):
        for size, engine in engines.items():
            start = args.clock()
            results = engine.generate(prompts, params)
            seconds[size].append(args.clock() - start)
            answers.add(str([request.output_tokens for request in results]))
    assert len(answers) == 1, "the batch size changed an answer"

    print("| requests at once | s | tokens/s | times one at a time |\n|---|---|---|---|")
    alone = statistics.median(seconds[1])
    for size in sizes:
        median = statistics.median(seconds[size])
        print(f"| {size} | {median:.2f} | {args.num * args.num_tokens / median:.0f} | {alone / median:.1f} |")
    print()


def stalls(args) -> None:
    """Gaps between the tokens of 8 running requests while a prompt of 900 tokens is read, by chunk size."""
    chunk_sizes = (32, 64, 128, 256, 1024)
    longest = min(900, args.weights.config.n_positions - 1)
    gaps = {size: [] for size in chunk_sizes}
    waits = {size: [] for size in chunk_sizes}
    engines = {size: make_engine(args, max_chunk_size=size) for size in chunk_sizes}
    for engine in engines.values():  # touches the caches' memory once
        engine.generate(prompts_of(args, 9, longest // 4), SamplingParams(max_tokens=200, ignore_eos=True))
    for _ in range(args.repeat):
        for size, engine in engines.items():
            params = SamplingParams(max_tokens=200, ignore_eos=True)
            running = [engine.submit(prompt, params) for prompt in prompts_of(args, 8, 8)]
            for _ in range(10):
                engine.step()
            long = engine.submit(prompts_of(args, 1, longest)[0], SamplingParams(max_tokens=1))
            start = args.clock()
            while not long.is_finished:
                before = args.clock()
                engine.step()
                gaps[size].append(args.clock() - before)
            waits[size].append(args.clock() - start)
            assert not any(request.is_finished for request in running)
            for request in running:
                engine.abort(request.id)

    print(
        "| chunk size | longest gap, ms | median gap, ms | long prompt's first token, ms |\n|---|---|---|---|"
    )
    for size in chunk_sizes:
        longest_gap, median_gap = max(gaps[size]) * 1e3, statistics.median(gaps[size]) * 1e3
        print(
            f"| {size} | {longest_gap:.1f} | {median_gap:.1f} | {statistics.median(waits[size]) * 1e3:.0f} |"
        )
    print()


def shares(args) -> None:
    """Where the time of a step of 32 decodes goes."""
    engine = make_engine(args)
    for prompt in prompts_of(args, 32, 16):
        engine.submit(prompt, SamplingParams(max_tokens=100, ignore_eos=True, temperature=0.8))
    spent = {"the compiled step": 0.0, "choosing tokens": 0.0}

    def timed(function, name):
        def call(*positional, **named):
            start = args.clock()
            try:
                return function(*positional, **named)
            finally:
                spent[name] += args.clock() - start

        return call

    executor = engine._batcher.executor
    executor.model = type(
        "Timed", (), {"step": staticmethod(timed(executor.model.step, "the compiled step"))}
    )
    sample, continuous_batcher.sample = (
        continuous_batcher.sample,
        timed(continuous_batcher.sample, "choosing tokens"),
    )
    for _ in range(4):
        engine.step()
    spent.update(dict.fromkeys(spent, 0.0))
    start = args.clock()
    for _ in range(80):
        engine.step()
    total = args.clock() - start
    continuous_batcher.sample = sample
    spent["scheduling, batches, the rest"] = total - sum(spent.values())

    print(f"| of {total / 80 * 1e3:.2f} ms a step of 32 decodes | ms | % |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {seconds / 80 * 1e3:.2f} | {100 * seconds / total:.0f} |")
    print()


def reservation(args) -> None:
    """Memory set aside and never used, when answers stop before max_tokens. No clock in this one."""
    config = args.weights.config
    engine = make_engine(args, kv_cache_pages=64)
    rng = np.random.default_rng(0)
    for prompt in prompts_of(args, 32, 32):
        # A set of stop tokens that ends an answer after some 50 tokens, wherever it goes.
        stop = rng.choice(config.vocab_size, config.vocab_size // 50, replace=False).tolist()
        engine.submit(prompt, SamplingParams(max_tokens=150, stop_token_ids=stop, temperature=1.0, seed=0))
    reserved = used = 0
    pool = engine._requests
    while engine.step():
        reserved += sum(len(request.page_table) for request in pool.running.values())
        used += sum(engine.kv_pool.pages_needed(r.num_computed_tokens) for r in pool.running.values())
    print("| | pages, average over the steps |\n|---|---|")
    steps = engine.get_stats()["num_steps"]
    print(f"| reserved by running requests | {reserved / steps:.1f} of 64 |")
    print(f"| with anything in them | {used / steps:.1f} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="DIR_OR_ID", help="a folder, a Hugging Face id, or gpt2-124m")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    args = parser.parse_args()
    args.clock = {"wall": time.perf_counter, "cpu": time.process_time}[args.clock]

    tables = [throughput, stalls, shares, reservation]
    args.num, args.num_tokens = 32, 64
    if args.model in SHAPES:
        args.weights = ch13_weights.GPT2Weights.random(SHAPES[args.model])
        tables.remove(reservation)  # it has no clock, and is the same for any model
        args.num, args.num_tokens = 16, 16
    else:
        args.weights = gpt.load_gpt2_weights(args.model)
    args.gpt2 = gpt.GPT2(args.weights, page_size=16)
    for table in tables:
        print(table.__doc__.format(**vars(args)), end="\n\n", flush=True)
        table(args)


if __name__ == "__main__":
    main()
