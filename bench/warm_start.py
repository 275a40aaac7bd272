"""From the start of a process to the first token on GPT-2 124M's shapes, with an empty disk cache and with a full one.

    .venv/bin/python bench/warm_start.py [--dtypes float32 bfloat16 int8] [--rounds 3] [--threads 1] [--layers 12]

Random weights of that shape are saved as a model folder, and read once so that they are in memory as far as the
system is concerned: no disk is measured. Each start is a fresh process, which imports ch.14, loads the weights, makes
the model, reads a prompt of 5 tokens and prints the likeliest next one. Cold: the cache is empty, and filled. Warm: it
was filled by the process before. Medians, in milliseconds:

    python    from the start of the process to its first line        weights   load_gpt2_weights
    imports   NumPy, ch.14 and what it takes                         code      GPT2(weights)

Memory is what the process holds when it has its first token; `mapped` is what the system keeps for all processes
that use the same weights. Decode is the median time of 20 more tokens: weights that are mapped should be as fast as
weights in memory. The exit status is 1 where the logits of a start differ from another's in any bit, or where a warm
start took half a second or more.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters

# isort: split
import model_folder
from timing import processor
from tqdm import tqdm

START = """
import sys, time
times = [time.perf_counter()]
import ch14_gpt_optimized as gpt
gpt.GPT2, gpt.load_gpt2_weights
times.append(time.perf_counter())
weights = gpt.load_gpt2_weights(sys.argv[1], dtype=sys.argv[2])
times.append(time.perf_counter())
model = gpt.GPT2(weights, num_threads=int(sys.argv[3]))
times.append(time.perf_counter())
logits = model.prefill([[464, 3290, 318, 257, 922]])
token = int(logits[0].argmax())
times.append(time.perf_counter())
print(token, flush=True)

import hashlib, json, re, statistics
memory = dict(re.findall(r"(\\w+):\\s*(\\d+) kB", open("/proc/self/status").read()))
digest, decodes = hashlib.sha256(logits), []
for _ in range(20):
    begin = time.perf_counter()
    logits = model.decode([token])
    decodes.append(time.perf_counter() - begin)
    digest.update(logits)
names = ("imports", "weights", "code", "token")
print(json.dumps({
    "ms": {name: 1e3 * (b - a) for name, a, b in zip(names, times, times[1:])},
    "rss": int(memory["VmRSS"]) / 1e3, "mapped": int(memory["RssFile"]) / 1e3,
    "decode": 1e3 * statistics.median(decodes), "bits": digest.hexdigest(), "from_disk": model.is_from_disk,
}))
"""
PARTS = ("python", "imports", "weights", "code", "token", "total")


def start(model: pathlib.Path, cache: pathlib.Path, dtype: str, threads: int) -> dict:
    """One fresh process: what it printed, with the time to its first token as its parent sees it."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(model), dtype, str(threads)],
        env=chapters.environment() | {"COURSE_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    total = 1e3 * (time.perf_counter() - begin)
    printed = process.communicate()[0]
    if process.returncode:
        raise SystemExit("a start failed; what it said is above")
    result = json.loads(printed)
    result["ms"] |= {"total": total, "python": total - sum(result["ms"].values())}
    return result


def report(dtype: str, starts: dict[str, list[dict]]) -> bool:
    """Prints the rows of a dtype; returns whether all is as it should be."""
    good = len({s["bits"] for kind in starts.values() for s in kind}) == 1
    if not good:
        print(f"{dtype}: the logits of starts differ", file=sys.stderr)
    for kind, samples in starts.items():
        good &= all(s["from_disk"] == (kind == "warm") for s in samples)
        middle = {part: statistics.median(s["ms"][part] for s in samples) for part in PARTS}
        row = [f"{middle[part]:.0f}" for part in PARTS]
        row += [f"{statistics.median(s[name] for s in samples):.0f}" for name in ("rss", "mapped")]
        row += [f"{statistics.median(s['decode'] for s in samples):.1f}"]
        tqdm.write(f"| {dtype}, {kind} | {' | '.join(row)} |", file=sys.stdout)
        good &= kind == "cold" or middle["total"] < 500
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    dtypes = ("float32", "bfloat16", "int8")
    parser.add_argument("--dtypes", nargs="+", choices=dtypes, default=dtypes)
    parser.add_argument("--rounds", type=int, default=3, help="starts of each kind (default 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model (default 1)")
    parser.add_argument("--layers", type=int, default=12, help="layers of the model (default 12, GPT-2 124M)")
    options = parser.parse_args()

    good = True
    with tempfile.TemporaryDirectory() as name:
        folder, cache = pathlib.Path(name), pathlib.Path(name) / "cache"
        model_folder.write(folder, n_layer=options.layers)
        time.sleep(2.5)  # files that have just been written are not kept: they may still change
        print(
            f"{processor()}, {options.threads} thread(s), {options.layers} layers, {options.rounds} rounds; ms, MB"
        )
        print(f"| | {' | '.join(PARTS)} | memory | mapped | decode |")
        print(f"|---|{'---:|' * (len(PARTS) + 3)}")
        bar = tqdm(total=2 * options.rounds * len(options.dtypes), unit="start", file=sys.stderr)
        for dtype in options.dtypes:
            starts = {"cold": [], "warm": []}
            for _ in range(options.rounds):
                shutil.rmtree(cache, ignore_errors=True)
                for samples in starts.values():
                    samples.append(start(folder, cache, dtype, options.threads))
                    bar.update()
            good &= report(dtype, starts)
        bar.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
