"""`python -m nano_engine bench`: workloads against the engine, with each optimization switched off in turn."""

import argparse
import pathlib
import sys
import time

from .bench import cases, open_loop, report, workloads
from .cli import Status, add_model_option

SHAPES = ("gpt2-124m",)


def add_to(commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure throughput and latencies",
        description="Plays workloads in an open loop: requests arrive at random (Poisson) or as a trace says, whether "
        "or not the engine keeps up. Prints a table for each, with times in ms: TTFT to the first token, TPOT per "
        "token after it, ITL between two tokens, E2E to the last, and how late the bench itself was. Answers are "
        "compared with those of an engine that runs one request at a time.",
    )
    parser.add_argument(
        "--workload",
        action="append",
        choices=list(workloads.WORKLOADS),
        help="which (all); may be given more than once",
    )
    parser.add_argument("--trace", metavar="FILE", help="replay arrivals from a file of JSON lines instead")
    parser.add_argument("--case", action="append", metavar="NAME", help='which case, "all on" for one (all)')
    parser.add_argument("--num", type=int, default=48, help="requests of a workload (48)")
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        help="arrivals per second; 0: all at once, which measures throughput (0)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of arrivals and prompts (0)")
    parser.add_argument("--pages", type=int, default=512, help="pages of 16 tokens in the KV cache (512)")
    parser.add_argument("--max-batch-size", type=int, default=32, help="requests that run at once (32)")
    parser.add_argument(
        "--max-chunk-size", type=int, help="tokens of a step (without it, by how many requests run)"
    )
    parser.add_argument(
        "--ttft-limit", type=float, default=1000, help="ms to a first token that are good (1000)"
    )
    parser.add_argument("--tpot-limit", type=float, default=100, help="ms per token that are good (100)")
    parser.add_argument("--no-check", action="store_true", help="do not compare the answers")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--plot", metavar="FILE", help="draw them there (needs matplotlib)")
    add_model_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.num < 1 or args.rate < 0:
        raise ValueError(f"--num must be at least 1 and --rate at least 0, got {args.num} and {args.rate}")
    with Status("loading and compiling the model ..."):
        weights, model = load(args.model, args.cache_dir)
    config = weights.config
    options = cases.cases(config.max_seq_len)
    wanted = args.case or list(options)
    for name in wanted:
        if name not in options:
            raise ValueError(f"--case must be one of {', '.join(options)}, got {name!r}")
    if args.trace:
        chosen = {args.trace: workloads.trace(args.trace, config.vocab_size, config.max_seq_len, args.seed)}
    else:
        chosen = {
            name: workloads.WORKLOADS[name](
                args.num, args.rate, config.vocab_size, config.max_seq_len, args.seed
            )
            for name in args.workload or workloads.WORKLOADS
        }
    limits = report.Limits(args.ttft_limit / 1e3, args.tpot_limit / 1e3)
    basic = {
        "kv_cache_pages": args.pages,
        "max_batch_size": args.max_batch_size,
        "max_chunk_size": args.max_chunk_size,
    }
    alone = cases.make_engine(weights, model, max_batch_size=1, enable_prefix_cache=False)

    results = {"command": " ".join(sys.argv[1:]), "time_s": time.time(), "workloads": {}}
    for workload, arrivals in chosen.items():
        summaries = results["workloads"][workload] = {}
        answers = None
        for name in wanted:
            engine = cases.make_engine(weights, model, **basic | options[name])
            warm_up(engine, config)
            outcomes = open_loop.run(engine, arrivals)
            summaries[name] = report.summarize(outcomes, engine.get_stats(), limits)
            if not args.no_check:
                given = [outcome.request.output_tokens for outcome in outcomes]
                if answers is None:
                    open_loop.check_answers(alone, outcomes)
                    answers = given
                elif given != answers:
                    raise RuntimeError(f"the answers of {name!r} are not those of {wanted[0]!r}")
        print(
            f"\n{workload}, {len(arrivals)} requests, {pace(args)}:\n\n{report.table(summaries)}", flush=True
        )
    if args.json:
        pathlib.Path(args.json).write_text(report.to_json(results))
    if args.plot:
        report.plot(results, args.plot)
    return 0


def pace(args: argparse.Namespace) -> str:
    return "as the trace says" if args.trace else f"{args.rate:g} a second" if args.rate else "all at once"


def warm_up(engine, config) -> None:
    """Touches the cache's memory, and everything that is made at first use; leaves nothing cached."""
    engine.kv_pool.k_cache[:] = engine.kv_pool.v_cache[:] = 0
    engine.generate([[1] * min(64, config.max_seq_len // 2)] * 2)
    engine.reset_prefix_cache()


def load(path_or_id: str | None, cache_dir):
    """Weights and the compiled model; "gpt2-124m" are random weights of that shape."""
    import ch13_weights
    import ch14_gpt_optimized as gpt

    if path_or_id in SHAPES:
        shape = {"vocab_size": 50257, "n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}
        weights = ch13_weights.GPT2Weights.random(ch13_weights.GPT2Config(**shape))
    else:
        weights = gpt.load_gpt2_weights(path_or_id, cache_dir=cache_dir)
    return weights, gpt.GPT2(weights, page_size=16, cache_dir=cache_dir)
