"""Feeds chance to the compiler: `python3 fuzz/fuzz.py [SEED [COUNT]]`. Writes each text to a file before it is tried,
so that the file holds the culprit if the process dies. The test suite runs a few; this runs for as long as you like."""

import collections
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from texts import mutated

import chapters  # noqa: F401  finds the build tree

import ch8_custom_dialect as ch8


def main(seed: int, count: int) -> None:
    source, outcomes = random.Random(seed), collections.Counter()
    file = pathlib.Path(f"/tmp/ch8-fuzz-{seed}.mlir")
    slowest = 0.0
    for _ in range(count):
        text = mutated(source)
        file.write_text(text, encoding="utf-8")
        start = time.perf_counter()
        try:
            ch8.assembly(text)
            outcomes["compiled"] += 1
        except (ch8.CompileError, ValueError, TypeError) as error:
            outcomes[type(error).__name__ + ": " + str(error).split("\n")[0][:40]] += 1
        slowest = max(slowest, time.perf_counter() - start)
    file.unlink()
    for outcome, times in outcomes.most_common(12):
        print(f"{times:6} {outcome}")
    print(f"slowest: {slowest:.2f} s")


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["1", "1000"][len(sys.argv) - 1 :])))
