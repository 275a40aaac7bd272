"""What a machine can do at most: a loop of multiply-adds on registers, a loop that reads an array.

    .venv/bin/python bench/limits.py [--threads 1] [--runs 1]

Both are texts that ch.8 compiles, in the vectors that ch.10 chose for the machine. A candidate is (call, work): what
to call, and how many operations or bytes one call is. A call takes some 10 ms or more, so that neither Python nor a
thread that wakes up is in the figure, nor a processor that has just been idle. Compiled code holds no lock of Python's:
with several threads, each runs the whole loop.
"""

import argparse
import concurrent.futures
import functools
import mmap
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chapters  # noqa: F401  finds the build tree, before ch8.py of this folder is found

# isort: split
import numpy as np
from timing import processor

import ch8_custom_dialect as ch8
import ch10_optimization as ch10


# [peak]
def peak_ir(chains: int, width: int, steps: int) -> str:
    """`chains` accumulators of `width` floats; each goes through `steps` multiply-adds, and nothing is loaded."""
    memory, vector = f"memref<{chains}x{width}xf32>", f"vector<{width}xf32>"
    numbers = range(chains)
    vectors = ", ".join([vector] * chains)
    row = "".join(f"  %row{i} = arith.constant {i} : index\n" for i in numbers)
    read = "".join(f"  %c{i} = vector.load %x[%row{i}, %row0] : {memory}, {vector}\n" for i in numbers)
    step = "".join(f"    %b{i} = vector.fma %a{i}, %c0, %a{i} : {vector}\n" for i in numbers)
    write = "".join(f"  vector.store %sums#{i}, %out[%row{i}, %row0] : {memory}, {vector}\n" for i in numbers)
    return f"""
func.func @peak(%x: {memory}, %out: {memory}) {{
{row}{read}
  %steps = arith.constant {steps} : index
  %sums:{chains} = scf.for %k = %row0 to %steps step %row1
      iter_args({", ".join(f"%a{i} = %c{i}" for i in numbers)}) -> ({vectors}) {{
{step}    scf.yield {", ".join(f"%b{i}" for i in numbers)} : {vectors}
  }}
{write}  return
}}"""


# [/peak]


def read_ir(streams: int, width: int, count: int, passes: int) -> str:
    """Adds up `count` floats, each loaded once, and all `passes` times: `streams` parts side by side, an accumulator of
    `width` for each. (One stream alone reads less than memory can give: nothing fetches far enough ahead of it.)"""
    vector, numbers, part = f"vector<{width}xf32>", range(streams), count // streams
    some = ", ".join([vector] * streams)
    read = "".join(
        f"      %o{i} = arith.constant {i * part} : index\n      %p{i} = arith.addi %at, %o{i} : index\n"
        f"      %v{i} = vector.load %x[%p{i}] : memref<{count}xf32>, {vector}\n"
        f"      %b{i} = arith.addf %a{i}, %v{i} : {vector}\n"
        for i in numbers
    )
    write = "".join(
        f"  %q{i} = arith.constant {i} : index\n"
        f"  vector.store %sums#{i}, %out[%q{i}, %zero] : memref<{streams}x{width}xf32>, {vector}\n"
        for i in numbers
    )
    return f"""
func.func @read(%x: memref<{count}xf32>, %out: memref<{streams}x{width}xf32>) {{
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %none = arith.constant dense<0.0> : {vector}
  %end = arith.constant {part} : index
  %step = arith.constant {width} : index
  %passes = arith.constant {passes} : index
  %sums:{streams} = scf.for %pass = %zero to %passes step %one
      iter_args({", ".join(f"%s{i} = %none" for i in numbers)}) -> ({some}) {{
    %all:{streams} = scf.for %at = %zero to %end step %step
        iter_args({", ".join(f"%a{i} = %s{i}" for i in numbers)}) -> ({some}) {{
{read}      scf.yield {", ".join(f"%b{i}" for i in numbers)} : {some}
    }}
    scf.yield {", ".join(f"%all#{i}" for i in numbers)} : {some}
  }}
{write}  return
}}"""


@functools.cache
def _pool(threads: int) -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(threads)


def _together(calls: list):
    """One call that makes all these at once, each on a thread of its own."""
    if len(calls) == 1:
        return calls[0]
    return lambda: [future.result() for future in [_pool(len(calls)).submit(call) for call in calls]]


def peak_candidate(threads: int = 1, steps: int = 12_000_000):
    """(what runs the loop, its operations). 12 chains: each multiply-add has time until its result is wanted."""
    chains, width = 12, ch10.tile()["lanes"]
    text, x = peak_ir(chains, width, steps), np.zeros((chains, width), np.float32)
    call = _together([lambda: ch8.execute(text, "peak", [x], (chains, width))] * threads)
    return call, 2 * chains * width * steps * threads


def _in_huge_pages(count: int) -> np.ndarray:
    """`count` ones in memory that is asked to be in huge pages, as packed weights are."""
    memory = mmap.mmap(-1, 4 * count)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    ones = np.frombuffer(memory, np.float32)
    ones[:] = 1
    return ones


def read_candidate(num_bytes: int, threads: int = 1, least_bytes: int = 256 << 20):
    """(what reads an array of about that size, its bytes). Each thread reads a part of its own. A small array is read
    again and again, until `least_bytes` are read."""
    streams, width = 8, ch10.tile()["lanes"]
    count = max(1, num_bytes // 4 // threads // (streams * width)) * streams * width
    passes = max(1, -(-least_bytes // (4 * count * threads)))
    text = read_ir(streams, width, count, passes)
    parts = [_in_huge_pages(count) for _ in range(threads)]
    calls = [lambda x=x: ch8.execute(text, "read", [x], (streams, width)) for x in parts]
    return _together(calls), 4 * count * threads * passes


class Machine:
    """Measures both limits whenever it is asked, as the best of a few calls: a limit is what nothing disturbs."""

    def __init__(self, threads: int = 1, num_bytes: int = 256 << 20):
        self.threads = threads
        self._peak, self._read = peak_candidate(threads), read_candidate(num_bytes, threads)

    def peak(self) -> float:
        """Operations a second, by the time of the processor: other programs may have it for a while."""
        return self._rate(*self._peak, lambda: time.process_time() / self.threads)

    def read(self) -> float:
        """Bytes a second. Of several threads by the clock: what counts is what memory gives to all at once."""
        clock = time.process_time if self.threads == 1 else time.perf_counter
        return self._rate(*self._read, clock, calls=16)  # memory has more neighbours than a core has

    def _rate(self, call, work, clock, calls: int = 8) -> float:
        def seconds():
            begin = clock()
            call()
            return clock() - begin

        return work / min(seconds() for _ in range(calls))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1, help="how many do it at once (default 1)")
    parser.add_argument("--runs", type=int, default=1, help="how often to measure both (default 1)")
    options = parser.parse_args()
    if options.threads < 1 or options.runs < 1:
        parser.error("--threads and --runs: expected 1 or more")
    limits = Machine(options.threads)
    print(f"{processor()}, threads: {options.threads}")
    for _ in range(options.runs):
        print(
            f"{limits.peak() / 1e9:.1f} GFLOP/s of multiply-adds, {limits.read() / 1e9:.1f} GB/s read",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
