"""One engine in a process of its own: gpt2.py starts it and asks for turns.

    python bench/gpt2_peers.py ENGINE FOLDER DTYPE THREADS

Its first line is "ready" and a line of JSON about itself, or "failed" and why: no such library, no such dtype. Then it
answers each line that it reads with a number.

    start BATCH TOKENS   reads a prompt of TOKENS random tokens for each of BATCH sequences: seconds
    fill BATCH TOKENS    makes room for a decode after such prompts: seconds
    decode               one more token for each, then back: seconds, the median of as many as fit in half a second
    memory               what the process holds, in MB; what it shares with others, by its part
    check FILE           how far its logits are from those in FILE, a decode after a prompt: the greatest difference,
                         relative to the greatest logit
"""

import json
import os
import pathlib
import re
import statistics
import sys
import time

import numpy as np
import peers

DECODE_SECONDS = 0.5  # of a turn; one decode in any case


def memory_mb() -> float:
    """The proportional set size of this process: a page that two processes map counts half for each."""
    return (
        int(re.search(r"^Pss:\s*(\d+) kB", pathlib.Path("/proc/self/smaps_rollup").read_text(), re.M)[1])
        / 1e3
    )


class Turns:
    """What the lines ask for."""

    def __init__(self, engine, vocab_size: int):
        self.engine = engine
        self.random = lambda *shape: np.random.default_rng(0).integers(1, vocab_size, shape).astype(np.int32)

    def _timed(self, method, argument) -> float:
        begin = time.perf_counter()
        taken = method(argument)
        return time.perf_counter() - begin if taken is None else taken

    def start(self, batch: str, tokens: str) -> float:
        self.batch = int(batch)
        return self._timed(self.engine.start, self.random(self.batch, int(tokens)))

    def fill(self, batch: str, tokens: str) -> float:
        self.batch = int(batch)
        return self._timed(self.engine.fill, self.random(self.batch, int(tokens)))

    def decode(self) -> float:
        """The first is not counted, unless it alone takes too long: other engines have had the caches since."""
        samples, end = [], time.perf_counter() + DECODE_SECONDS
        while True:
            samples.append(self._timed(self.engine.decode, self.random(self.batch)))
            self.engine.rewind()
            if time.perf_counter() > end:
                return statistics.median(samples[1:] or samples)

    def memory(self) -> float:
        return memory_mb()

    def check(self, file: str) -> float:
        with np.load(file) as expected:
            ids, logits = expected["ids"], expected["logits"]
        self.engine.start(ids[:, :-1])
        self.engine.decode(ids[:, -1])
        return float(np.abs(self.engine.logits() - logits).max() / np.abs(logits).max())


def main() -> int:
    if len(sys.argv) != 5 or sys.argv[1] not in peers.MODULES or not sys.argv[4].isdigit():
        print(f"{__doc__}\nENGINE is one of: {', '.join(peers.MODULES)}", file=sys.stderr)
        return 2
    name, folder, dtype, threads = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before an engine is imported
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    try:
        config = json.loads((folder / "config.json").read_text())
        module = peers.load(name)
        imported = memory_mb()
        engine = module.Engine(folder, dtype, threads)
    except Exception as error:
        lines = str(error).splitlines() or ["without a word"]
        print(f"failed {type(error).__name__}: {lines[0]}", file=answers, flush=True)
        return 1
    about = {"about": engine.about, "compile_seconds": engine.compile_seconds, "imported_mb": imported}
    print(f"ready {json.dumps(about)}", file=answers, flush=True)
    turns = Turns(engine, config["vocab_size"])
    for line in sys.stdin:
        what, *arguments = line.split()
        print(getattr(turns, what)(*arguments), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
