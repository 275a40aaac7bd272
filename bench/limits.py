"""What a machine can do at most: a loop of multiply-adds on registers, a loop that reads an array.

Both are texts that ch.8 compiles, in the vectors that ch.10 chose for the machine. A candidate is (call, work): what
to call, and how many operations or bytes one call is.
"""

import concurrent.futures
import functools
import mmap

import numpy as np

import chapters  # noqa: F401  finds the build tree

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


def read_ir(streams: int, width: int, count: int) -> str:
    """Adds up `count` floats, each loaded once: `streams` parts side by side, an accumulator of `width` for each. (One
    stream alone reads less than memory can give: nothing fetches far enough ahead of it.)"""
    vector, numbers, part = f"vector<{width}xf32>", range(streams), count // streams
    some = ", ".join([vector] * streams)
    read = "".join(
        f"    %o{i} = arith.constant {i * part} : index\n    %p{i} = arith.addi %at, %o{i} : index\n"
        f"    %v{i} = vector.load %x[%p{i}] : memref<{count}xf32>, {vector}\n"
        f"    %b{i} = arith.addf %a{i}, %v{i} : {vector}\n"
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
  %none = arith.constant dense<0.0> : {vector}
  %end = arith.constant {part} : index
  %step = arith.constant {width} : index
  %sums:{streams} = scf.for %at = %zero to %end step %step
      iter_args({", ".join(f"%a{i} = %none" for i in numbers)}) -> ({some}) {{
{read}    scf.yield {", ".join(f"%b{i}" for i in numbers)} : {some}
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


def peak_candidate(threads: int = 1, steps: int = 200_000):
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


def read_candidate(num_bytes: int, threads: int = 1):
    """(what reads an array of about that size, its bytes). Each thread reads a part of its own."""
    streams, width = 8, ch10.tile()["lanes"]
    count = max(1, num_bytes // 4 // threads // (streams * width)) * streams * width
    text = read_ir(streams, width, count)
    parts = [_in_huge_pages(count) for _ in range(threads)]
    calls = [lambda x=x: ch8.execute(text, "read", [x], (streams, width)) for x in parts]
    return _together(calls), 4 * count * threads
