"""What batching, chunks, the prefix cache and paging each do, on one model: the figures of ch.16's lessons.

    python3 bench/serving.py                      the bundled model
    python3 bench/serving.py --model gpt2-124m    random weights of GPT-2's shape, shorter requests
    python3 bench/serving.py --clock cpu          processor time, for a machine that is busy with other things
    python3 bench/serving.py --table stalls       one table only
    python3 bench/serving.py --plot FILE          throughput and stalls only, and a picture of both

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
import timing

import chapters  # noqa: F401  finds the build tree

import ch13_weights
import ch14_gpt_optimized as gpt
import ch16_naive as naive
from nano_engine import NanoServingEngine, SamplingParams
from nano_engine.bench import workloads

SHAPES = {
    "gpt2-124m": ch13_weights.GPT2Config(
        vocab_size=50257, n_layer=12, n_head=12, n_embd=768, n_positions=1024
    ),
}


def make_engine(args, **options) -> NanoServingEngine:
    """An engine whose cache has been touched, so that no figure holds the system's time to hand memory out."""
    engine = NanoServingEngine(args.weights.config, args.weights, model=args.gpt2, **options)
    engine.kv_pool.k_cache[:] = engine.kv_pool.v_cache[:] = 0
    return engine


def prompts_of(args, num: int, num_tokens: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, args.weights.config.vocab_size, (num, num_tokens)).tolist()


def throughput(args) -> None:
    """{num} requests of 32 + {num_tokens} tokens, with more and more of them running at once."""
    prompts = prompts_of(args, args.num, 32)
    params = SamplingParams(max_tokens=args.num_tokens, ignore_eos=True)
    sizes = [size for size in (1, 4, 8, 16, 32) if size <= args.num]
    engines = {size: make_engine(args, max_batch_size=size, enable_prefix_cache=False) for size in sizes}
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
        args.drawn["throughput"][size] = args.num * args.num_tokens / median
    print()


def ancestors(args) -> None:
    """{num} requests of 32 tokens that want 8 to {num_tokens} more, and the engine's ancestors (ch16_naive.py)."""
    config = args.weights.config
    prompts = prompts_of(args, args.num, 32)
    nums = np.random.default_rng(1).integers(8, args.num_tokens + 1, args.num).tolist()
    caches = naive.Caches(config, args.num, 16)
    params = [SamplingParams(max_tokens=num, ignore_eos=True) for num in nums]
    engine = make_engine(args, enable_prefix_cache=False)
    groups = [slice(i, i + 8) for i in range(0, args.num, 8)]
    cases = {
        "everything read again, one at a time": lambda: [
            naive.recompute(args.gpt2, caches, p, n) for p, n in zip(prompts, nums)
        ],
        "one at a time with a cache": lambda: [
            naive.one_at_a_time(args.gpt2, caches, p, n) for p, n in zip(prompts, nums)
        ],
        "batches of 8 that start and end together": lambda: [
            answer for g in groups for answer in naive.static_batch(args.gpt2, caches, prompts[g], nums[g])
        ],
        f"batches of {args.num}": lambda: naive.static_batch(args.gpt2, caches, prompts, nums),
        "the engine": lambda: [r.output_tokens for r in engine.generate(prompts, params)],
    }
    seconds, answers = {name: [] for name in cases}, set()
    for _ in range(args.repeat):
        for name, case in cases.items():
            start = args.clock()
            answers.add(str(case()))
            seconds[name].append(args.clock() - start)
    assert len(answers) == 1, "an ancestor writes something else"
    print("| | s | tokens/s |\n|---|---|---|")
    for name in cases:
        median = statistics.median(seconds[name])
        print(f"| {name} | {median:.2f} | {sum(nums) / median:.0f} |")
    print()


def prefixes(args) -> None:
    """Shared prefixes: {num} questions after 4 long texts, with the prefix cache and without, 512 pages."""
    config = args.weights.config
    arrivals = workloads.shared_prefix(args.num, 0, config.vocab_size, config.n_positions)
    prompts = [list(arrival.prompt_tokens) for arrival in arrivals]
    params = SamplingParams(max_tokens=args.num_tokens // 4, ignore_eos=True)
    cases = {"prefix cache": True, "no prefix cache": False}
    seconds, answers, cached = {name: [] for name in cases}, set(), {}
    for _ in range(args.repeat):
        for name, enabled in cases.items():
            engine = make_engine(args, kv_cache_pages=512, enable_prefix_cache=enabled)
            start = args.clock()
            results = engine.generate(prompts, params)
            seconds[name].append(args.clock() - start)
            answers.add(str([request.output_tokens for request in results]))
            cached[name] = engine.get_stats()["cache_hit_rate"]
    assert len(answers) == 1, "the prefix cache changed an answer"
    print("| | s | tokens/s | prompt tokens from the cache |\n|---|---|---|---|")
    for name in cases:
        median = statistics.median(seconds[name])
        rate = len(prompts) * params.max_tokens / median
        print(f"| {name} | {median:.2f} | {rate:.0f} | {cached[name]:.0%} |")
    print()


def stalls(args) -> None:
    """Gaps between the tokens of 8 running requests, without and while a prompt of 900 tokens is read."""
    chunk_sizes = (None, 16, 32, 64, 128, 256, 1024)  # None: the default
    longest = min(900, args.weights.config.n_positions - 1)
    gaps = {size: [] for size in (0, *chunk_sizes)}  # 0: no long prompt
    waits = {size: [] for size in chunk_sizes}
    engines = {
        size: make_engine(args, max_chunk_size=size, enable_prefix_cache=False) for size in chunk_sizes
    }
    params = SamplingParams(max_tokens=300, ignore_eos=True)

    def timed_step(engine, into):
        before = args.clock()
        engine.step()
        into.append(args.clock() - before)

    for _ in range(args.repeat):
        for size, engine in engines.items():
            running = [engine.submit(prompt, params) for prompt in prompts_of(args, 8, 8)]
            while not all(request.output_tokens for request in running):
                engine.step()
            for _ in range(10):
                timed_step(engine, gaps[0])
            long = engine.submit(prompts_of(args, 1, longest)[0], SamplingParams(max_tokens=1))
            start = args.clock()
            while not long.is_finished:
                timed_step(engine, gaps[size])
            waits[size].append(args.clock() - start)
            assert not any(request.is_finished for request in running)
            for request in running:
                engine.abort(request.id)

    calm = np.percentile(gaps[0], 99) * 1e3
    print("| step of at most | gap, p50 | p99, ms | times that without | long prompt's first token, ms |")
    print("|---|---|---|---|---|")
    for size, values in gaps.items():
        p50, p99 = np.percentile(values, [50, 99]) * 1e3
        wait = f"{statistics.median(waits[size]) * 1e3:.0f}" if size != 0 else ""
        name = "the default" if size is None else f"{size} tokens" if size else "no long prompt"
        print(f"| {name} | {p50:.1f} | {p99:.1f} | {p99 / calm:.1f} | {wait} |")
        if size != 0:
            args.drawn["stalls"][name] = (p99 / calm, statistics.median(waits[size]))
    print()


def shares(args) -> None:
    """Where the time of a step of 32 requests goes, by how they choose their tokens."""
    config = args.weights.config
    kinds = {
        "greedy": {},
        "temperature 0.8": {"temperature": 0.8},
        "and top_k 50": {"temperature": 0.8, "top_k": 50},
        "and top_p 0.9": {"temperature": 0.8, "top_p": 0.9},
        "and penalties": {"temperature": 0.8, "presence_penalty": 0.5, "repetition_penalty": 1.1},
        "logprobs": {"logprobs": 5},
    }
    num_steps = 40 if config.n_layer < 8 else 8
    print(
        "| 32 requests | a step, ms | the model, % | choosing, % | all other Python, % |\n|---|---|---|---|---|"
    )
    for kind, options in kinds.items():
        engine = make_engine(args)
        spent = {"model": 0.0, "choose": 0.0}

        def timed(function, name, spent=spent):
            def call(*positional):
                start = args.clock()
                try:
                    return function(*positional)
                finally:
                    spent[name] += args.clock() - start

            return call

        batcher = engine._batcher
        model = batcher.executor.model
        batcher.executor.model = type("Timed", (), {"step": staticmethod(timed(model.step, "model"))})
        batcher.sampler.choose = timed(batcher.sampler.choose, "choose")
        requests = [
            engine.submit(prompt, SamplingParams(max_tokens=200, ignore_eos=True, seed=i, **options))
            for i, prompt in enumerate(prompts_of(args, 32, 16))
        ]
        for _ in range(4):
            engine.step()
        spent.update(model=0.0, choose=0.0)
        start = args.clock()
        for _ in range(num_steps):
            engine.step()
        total = args.clock() - start
        if any(request.is_finished for request in requests):
            sys.exit(f"a request has ended while its steps were timed: {requests[0].error}")
        parts = [spent["model"], spent["choose"], total - sum(spent.values())]
        print(
            f"| {kind} | {total / num_steps * 1e3:.2f} |",
            " | ".join(f"{100 * p / total:.1f}" for p in parts),
            "|",
        )
    print()


def pages(args) -> None:
    """Memory: 32 requests that may write 150 tokens and stop after about 50, on 64 pages. No clock in this one."""
    config = args.weights.config
    print("| | running at once, on average | steps | preempted |\n|---|---|---|---|")
    for name, options in (("pages as needed", {}), ("worst case in one piece", {"enable_paging": False})):
        engine = make_engine(args, kv_cache_pages=64, enable_prefix_cache=False, **options)
        rng = np.random.default_rng(0)
        for prompt in prompts_of(args, 32, 32):
            # A set of stop tokens that ends an answer after some 50 tokens, wherever it goes.
            stop = rng.choice(config.vocab_size, config.vocab_size // 50, replace=False).tolist()
            engine.submit(
                prompt, SamplingParams(max_tokens=150, stop_token_ids=stop, temperature=1.0, seed=0)
            )
        num_running = 0
        while chunks := engine.step():
            num_running += len(chunks)
        stats = engine.get_stats()
        steps = stats["num_steps"]
        print(f"| {name} | {num_running / steps:.1f} | {steps} | {stats['num_preemptions']} |")
    print()


def plot(throughput: dict, stalls: dict, title: str, path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left.bar([str(size) for size in throughput], throughput.values(), color="tab:blue")
    left.set(title="tokens per second", xlabel="requests at once")
    names = [name.removesuffix(" tokens") for name in stalls]
    colors = ["tab:green" if name == "the default" else "tab:blue" for name in names]
    middle.bar(names, [gap for gap, _ in stalls.values()], color=colors)
    middle.axhline(3, color="black", linewidth=0.8, linestyle="--")
    middle.set(title="p99 gap of 8 writers, times calm", yscale="log", xlabel="tokens a step, 900 arrive")
    middle.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    middle.minorticks_off()
    right.bar(names, [wait for _, wait in stalls.values()], color=colors)
    right.set(title="first token of the 900, s", xlabel="tokens a step")
    for axis in (left, middle, right):
        axis.title.set_fontsize(10)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in (middle, right):
        axis.tick_params(axis="x", rotation=30)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="DIR_OR_ID", help="a folder, a Hugging Face id, or gpt2-124m")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--table", choices=["ancestors", "throughput", "prefixes", "stalls", "shares", "pages"]
    )
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--plot", metavar="FILE", help="draw throughput and stalls there (needs matplotlib)")
    args = parser.parse_args()
    args.drawn = {"throughput": {}, "stalls": {}}
    clock_name = {"wall": "wall clock", "cpu": "processor time"}[args.clock]
    args.clock = {"wall": time.perf_counter, "cpu": time.process_time}[args.clock]

    tables = [throughput, stalls] if args.plot else [ancestors, throughput, prefixes, stalls, shares, pages]
    args.num, args.num_tokens = 32, 64
    if args.model in SHAPES:
        args.weights = ch13_weights.GPT2Weights.random(SHAPES[args.model])
        tables = [table for table in tables if table is not pages]  # which has no clock
        args.num_tokens = 32
    else:
        args.weights = gpt.load_gpt2_weights(args.model)
    args.gpt2 = gpt.GPT2(args.weights, page_size=16)
    for table in tables:
        if args.table not in (None, table.__name__):
            continue
        print(table.__doc__.format(**vars(args)), end="\n\n", flush=True)
        table(args)
    if args.plot:
        title = f"{args.model or 'the bundled model'}, one thread, {clock_name}, {timing.processor()}"
        plot(**args.drawn, title=title, path=args.plot)


if __name__ == "__main__":
    main()
