"""What outcomes amount to: percentiles, goodput, a table, JSON, a plot."""

import dataclasses
import json

import numpy as np

from .open_loop import Outcome

QUANTILES = (50, 90, 99)


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a caller puts up with. Goodput counts the requests that stay below all of them."""

    first_token_s: float = 1.0
    per_token_s: float = 0.1


def percentiles(values) -> dict[str, float]:
    """p50, p90, p99 in milliseconds; NaN if there is nothing."""
    values = np.asarray(list(values), np.float64)
    if not values.size:
        return {f"p{q}": float("nan") for q in QUANTILES}
    return {f"p{q}": float(np.percentile(values, q) * 1e3) for q in QUANTILES}


def summarize(outcomes: list[Outcome], stats: dict, limits: Limits) -> dict:
    """One case as plain numbers. Times in ms are of requests that ended by themselves."""
    good = [o for o in outcomes if o.request.finish_reason in ("stop", "length")]
    seconds = max((o.token_s[-1] for o in outcomes if o.token_s), default=0.0)
    num_tokens = sum(len(o.request.output_tokens) for o in outcomes)
    num_prompt_tokens = sum(o.request.num_prompt_tokens for o in outcomes)
    within = [
        o for o in good if o.first_token_s <= limits.first_token_s and o.per_token_s <= limits.per_token_s
    ]
    return {
        "num_requests": len(outcomes),
        "num_failed": len(outcomes) - len(good),
        "seconds": seconds,
        "tokens_per_s": num_tokens / max(seconds, 1e-9),
        "requests_per_s": len(good) / max(seconds, 1e-9),
        "goodput_per_s": len(within) / max(seconds, 1e-9),
        "cached_prompt_part": sum(o.request.num_cached_tokens for o in outcomes) / max(1, num_prompt_tokens),
        "num_preemptions": stats["num_preemptions"],
        "first_token_ms": percentiles(o.first_token_s for o in good),
        "per_token_ms": percentiles(o.per_token_s for o in good if len(o.token_s) > 1),
        "between_tokens_ms": percentiles(gap for o in good for gap in o.gaps_s),
        "end_to_end_ms": percentiles(o.end_to_end_s for o in good),
        "lateness_ms": percentiles(o.asked_s - o.due_s for o in outcomes),
    }


COLUMNS = (
    ("tokens/s", lambda s: f"{s['tokens_per_s']:.0f}"),
    ("good/s", lambda s: f"{s['goodput_per_s']:.2f}"),
    ("cached", lambda s: f"{s['cached_prompt_part']:.0%}"),
    ("preempted", lambda s: str(s["num_preemptions"])),
    ("TTFT p50/p99", lambda s: _pair(s["first_token_ms"])),
    ("TPOT p50/p99", lambda s: _pair(s["per_token_ms"])),
    ("ITL p50/p99", lambda s: _pair(s["between_tokens_ms"])),
    ("E2E p50/p99", lambda s: _pair(s["end_to_end_ms"])),
    ("late p99", lambda s: f"{s['lateness_ms']['p99']:.1f}"),
)


def _pair(values: dict[str, float]) -> str:
    return f"{values['p50']:.1f} / {values['p99']:.1f}"


def table(summaries: dict[str, dict]) -> str:
    """A Markdown table, a row a case. Times in ms."""
    lines = ["| case | " + " | ".join(name for name, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for case, summary in summaries.items():
        lines.append(f"| {case} | " + " | ".join(cell(summary) for _, cell in COLUMNS) + " |")
    return "\n".join(lines)


def to_json(results: dict) -> str:
    return json.dumps(results, indent=1)


def plot(results: dict, path: str) -> None:
    """For each workload: throughput, and the p99 of first tokens and of gaps, a bar for each case."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measures = (
        ("tokens per second", lambda s: s["tokens_per_s"]),
        ("first token, p99, ms", lambda s: s["first_token_ms"]["p99"]),
        ("between tokens, p99, ms", lambda s: s["between_tokens_ms"]["p99"]),
    )
    workloads = results["workloads"]
    figure, axes = pyplot.subplots(
        len(workloads), len(measures), figsize=(12, 2.6 * len(workloads)), squeeze=False, layout="constrained"
    )
    for row, (workload, summaries) in zip(axes, workloads.items()):
        for axis, (title, measure) in zip(row, measures):
            cases = list(summaries)[::-1]
            axis.barh(cases, [measure(summaries[case]) for case in cases], color="tab:blue")
            axis.set_title(f"{workload}: {title}", fontsize=9)
            axis.tick_params(labelsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
