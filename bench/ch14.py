"""What each idea of ch.14 is worth, one at a time: the figures of its TUTORIAL.

    .venv/bin/python bench/ch14.py [--table NAME …] [--layers 12] [--rounds 5]

GPT-2 124M's shapes, random weights, one thread where nothing else is said. In each table the cases take turns in one
run, and medians are printed. Tables: chunks, batches, lanes, fusion, dtypes, threads, pages, logits.
"""

import argparse
import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree, before ch8.py of this folder is found

# isort: split
import numpy as np
from limits import Machine
from timing import medians, processor, seconds_a_call

import ch14_gpt_optimized as gpt
import ch14_text
from ch13_weights import GPT2Config, GPT2Weights
from ch14_counts import Chunk, step_parts
from roofline import PROMPT, decode


@functools.cache
def weights(layers: int) -> GPT2Weights:
    return GPT2Weights.random(GPT2Config(50257, layers, 12, 768, 1024))


def model(options, lanes=None, dtype="float32", **more) -> gpt.GPT2:
    return gpt.GPT2(gpt.PackedWeights.pack(weights(options.layers), lanes, dtype), **more)


def prompt(num_tokens: int = PROMPT) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 50257, num_tokens)


def limits() -> tuple[float, float]:
    """(operations, bytes) a second of one thread."""
    found = Machine()
    return found.peak(), found.read()


def chunks(options) -> None:
    """A prompt of 512 tokens, so many at a time: the same work and the same bits, from decode to prefill."""
    found = {size: model(options, max_chunk_size=size) for size in (1, 2, 4, 8, 16, 32, 64, 128, 512)}
    first = found[512].prefill([prompt()])
    assert all((m.prefill([prompt()]) == first).all() for m in found.values()), "a chunk's size changed a bit"
    seconds = medians(
        {n: lambda m=m: m.prefill([prompt()]) for n, m in found.items()}, max(1, options.rounds // 2)
    )
    print("| tokens at a time | s | tokens/s | times one at a time |\n|---:|---:|---:|---:|")
    for size, s in seconds.items():
        print(f"| {size} | {s:.2f} | {PROMPT / s:.0f} | {seconds[1] / s:.1f} |")


def batches(options) -> None:
    """One more token of so many texts, by the length of their past, in ms; in brackets what the roofline says."""
    contexts, sizes = (16, 256, 1000), (1, 2, 4, 8, 16, 32)
    m = model(options)
    peak, read = limits()
    print(f"limits: {peak / 1e9:.0f} GFLOP/s, {read / 1e9:.1f} GB/s")
    print(f"| texts | {' | '.join(f'{c} tokens' for c in contexts)} | tokens/s at {contexts[0]} |")
    print(f"|---:|{'---:|' * (len(contexts) + 1)}")
    for batch in sizes:
        calls = {context: decode(m, batch, context) for context in contexts}
        row = []
        for context, call in calls.items():
            call()  # room in the cache
            seconds = sorted(seconds_a_call(call) for _ in range(options.rounds))[options.rounds // 2]
            parts = step_parts(m.config, [Chunk(context, 1)] * batch)
            least = sum(max(part.flops / peak, part.num_bytes / read) for part in parts)
            row.append((seconds, least))
        cells = " | ".join(f"{s * 1e3:.1f} ({least * 1e3:.1f})" for s, least in row)
        print(f"| {batch} | {cells} | {batch / row[0][0]:.0f} |")


def lanes(options) -> None:
    """Vectors of 4 floats against those of this machine: tokens per second."""
    widths = [n for n in (4, 8, 16) if n <= gpt.host_tile()["lanes"]]
    found = {n: model(options, n) for n in widths}
    print(f"| | {' | '.join(f'{n} lanes' for n in widths)} |\n|---|{'---:|' * len(widths)}")
    for name, tokens, make in (
        (f"prefill {PROMPT}", PROMPT, lambda m: lambda: m.prefill([prompt()])),
        *((f"decode, batch {b}", b, lambda m, b=b: decode(m, b, 128)) for b in (1, 8, 32)),
    ):
        seconds = medians({n: make(m) for n, m in found.items()}, options.rounds)
        print(f"| {name} | {' | '.join(f'{tokens / s:.1f}' for s in seconds.values())} |")


# [fusion-text]
def epilogue_text(kind: str, k: int, n: int, apart: bool) -> str:
    """@f: the product `up` (bias, GELU) or `down` (bias, residual), its epilogue on the tile or in passes after it."""
    width, panel = gpt.host_tile()["lanes"], gpt.host_tile()["panel"]
    # As in the step: a line more than n numbers, so that rows do not begin in the same set of the cache.
    buffer, rows = f"memref<?x{n + 16}xf32>", f"memref<?x{n}xf32, strided<[{n + 16}, 1]>>"
    vector = f"vector<{width}xf32>"
    product = f"memref<?x{k}xf32>, memref<{n // panel}x{k}x{panel}xf32>, {rows}"
    if not apart:
        attribute = "gelu" if kind == "up" else "accumulate"
        body = f"transformer.rows_linear %x, %w bias %b into %y {{{attribute}}} : {product}, memref<{n}xf32>"
    else:
        body = f"transformer.rows_linear %x, %w into %z : {product}\n" + passes(kind, n, rows, vector)
    return f"""
func.func @f(%x: memref<?x{k}xf32>, %w: memref<{n // panel}x{k}x{panel}xf32>, %b: memref<{n}xf32>, %long_y: {buffer},
             %long_z: {buffer}, %none: memref<1xf32>) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %width = arith.constant {width} : index
  %columns = arith.constant {n} : index
  %rows = memref.dim %x, %c0 : memref<?x{k}xf32>
  %y = memref.subview %long_y[0, 0] [%rows, {n}] [1, 1] : {buffer} to {rows}
  %z = memref.subview %long_z[0, 0] [%rows, {n}] [1, 1] : {buffer} to {rows}
  {body}
  return
}}"""


# [/fusion-text]


def passes(kind: str, n: int, rows: str, vector: str) -> str:
    """The epilogue of `up` or `down` as loops over all of %z: the bias, then GELU or the sum with %y."""

    def over(source: str, target: str, body: str) -> str:
        return f"""
  scf.for %r = %c0 to %rows step %c1 {{
    scf.for %c = %c0 to %columns step %width {{
      %v = vector.load %{source}[%r, %c] : {rows}, {vector}
      {body}
      vector.store %out, %{target}[%r, %c] : {rows}, {vector}
    }}
  }}"""

    size = vector.removeprefix("vector<").split("x")[0]
    bias = f"""%bias = vector.load %b[%c] : memref<{n}xf32>, {vector}
      %out = arith.addf %v, %bias : {vector}"""
    if kind == "down":
        add = f"""%old = vector.load %y[%r, %c] : {rows}, {vector}
      %out = arith.addf %old, %v : {vector}"""
        return over("z", "z", bias) + over("z", "y", add)

    def number(name: str, value: float) -> str:
        return f"%{name} = arith.constant dense<{value!r}> : vector<{size}xf32>\n      "

    gelu = (
        number("sqrt", 0.7978845608028654)
        + number("a", 0.044715)
        + number("half", 0.5)
        + f"""%square = arith.mulf %v, %v : {vector}
      %cube = arith.mulf %square, %v : {vector}
      %sum = vector.fma %a, %cube, %v : {vector}
      %inside = arith.mulf %sqrt, %sum : {vector}
      %tanh = math.tanh %inside : {vector}
      %h = arith.mulf %half, %v : {vector}
      %out = vector.fma %h, %tanh, %h : {vector}"""
    )
    return over("z", "z", bias) + over("z", "y", gelu)


def fusion(options) -> None:
    """Two products of a layer, their epilogue on the tile or in two passes over the rows, in ms."""
    rng = np.random.default_rng(0)
    panel = gpt.host_tile()["panel"]
    print("| product | rows | epilogue on the tile | in passes | ratio |\n|---|---:|---:|---:|---:|")
    for kind, k, n in (("up", 768, 3072), ("down", 3072, 768)):
        w = rng.standard_normal((n // panel, k, panel), np.float32) * np.float32(0.03)
        bias = rng.standard_normal(n, np.float32)
        calls = [ch14_text.compiled(epilogue_text(kind, k, n, apart)) for apart in (False, True)]
        for rows in (1, 8, 32, 512):
            x = rng.standard_normal((rows, k), np.float32)
            y, z = np.zeros((2, rows, n + 16), np.float32)
            results = []
            for call in calls:
                y[:] = 1
                call([x, w, bias, y, z], (1,))
                results.append(y.copy())
            assert (results[0] == results[1]).all(), "the two do not compute the same"
            turns = [lambda call=call, a=(x, w, bias, y, z): call(list(a), (1,)) for call in calls]
            number = max(1, 256 // rows)
            together, apart = medians(
                {i: (t, number) for i, t in enumerate(turns)}, 4 * options.rounds
            ).values()
            print(
                f"| {kind} | {rows} | {together * 1e3:.3f} | {apart * 1e3:.3f} | {apart / together:.2f} |",
                flush=True,
            )


def dtypes(options) -> None:
    """The three kinds of weights: tokens per second."""
    kinds = ("float32", "bfloat16", "int8")
    found = {kind: model(options, dtype=kind) for kind in kinds}
    print(f"| | {' | '.join(kinds)} |\n|---|{'---:|' * len(kinds)}")
    print(f"| MB | {' | '.join(f'{m.weights.num_bytes / 1e6:.0f}' for m in found.values())} |")
    for name, tokens, make in (
        *((f"decode, batch {b}", b, lambda m, b=b: decode(m, b, 128)) for b in (1, 8, 32)),
        (f"prefill {PROMPT}", PROMPT, lambda m: lambda: m.prefill([prompt()])),
    ):
        seconds = medians({kind: make(m) for kind, m in found.items()}, options.rounds)
        print(f"| {name} | {' | '.join(f'{tokens / s:.1f}' for s in seconds.values())} |")


def threads(options) -> None:
    """One thread and two: tokens per second, and whether any bit differs."""
    found = {n: model(options, num_threads=n) for n in (1, 2)}
    print("| | 1 thread | 2 threads | ratio | bits that differ |\n|---|---:|---:|---:|---:|")
    for name, tokens, make in (
        (f"prefill {PROMPT}", PROMPT, lambda m: lambda: m.prefill([prompt()])),
        *((f"decode, batch {b}", b, lambda m, b=b: decode(m, b, 128)) for b in (1, 8, 32)),
    ):
        one, two = medians({n: make(m) for n, m in found.items()}, options.rounds).values()
        a, b = (m.prefill([prompt(40), prompt(3)]).view(np.uint32) for m in found.values())
        different = int(np.count_nonzero(a != b))
        print(f"| {name} | {tokens / one:.1f} | {tokens / two:.1f} | {one / two:.2f} | {different} |")


def pages(options) -> None:
    """Tokens in a page: ms of attention in a step."""
    sizes = (4, 8, 16, 32, 64)
    found = {size: model(options, page_size=size, clock=True) for size in sizes}
    print(
        f"| ms of attention | {' | '.join(f'{size} tokens' for size in sizes)} |\n|---|{'---:|' * len(sizes)}"
    )
    for name, make in (
        (f"prefill {PROMPT}", lambda m: lambda: m.prefill([prompt()])),
        ("decode, batch 8, context 1000", lambda m: decode(m, 8, 1000)),
    ):
        samples: dict[int, list[float]] = {size: [] for size in sizes}
        calls = {size: make(m) for size, m in found.items()}
        for _ in range(options.rounds + 1):
            for size, call in calls.items():
                found[size].take_part_seconds()
                call()
                samples[size].append(found[size].take_part_seconds()["attention"])
        times = [sorted(samples[size][1:])[options.rounds // 2] * 1e3 for size in sizes]
        print(f"| {name} | {' | '.join(f'{t:.2f}' for t in times)} |")


def logits(options) -> None:
    """A prompt of 512 tokens with the logits of its last row, and of all rows."""
    m, ids = model(options), prompt().astype(np.int32)
    at, none = np.arange(PROMPT, dtype=np.int32), np.zeros(PROMPT, np.int32)
    table = np.arange(PROMPT // m.page_size, dtype=np.int32)[None]
    m.prefill([ids])

    def step(rows):
        return lambda: m.step(ids, at, at, none, table, rows, m.cache.k, m.cache.v)

    last, everything = medians({"last": step(at[-1:]), "all": step(at)}, options.rounds).values()
    print(f"the last row: {last:.2f} s; all rows: {everything:.2f} s, {everything / last:.2f} times as long")


TABLES = (chunks, batches, lanes, fusion, dtypes, threads, pages, logits)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [table.__name__ for table in TABLES]
    parser.add_argument("--table", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--layers", type=int, default=12, help="layers of the model (12, which is GPT-2 124M)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each case (5)")
    options = parser.parse_args()
    print(f"GPT-2's shapes, {options.layers} layers; {processor()}, {gpt.host_tile()['reason']}")
    for table in TABLES:
        if table.__name__ in options.table:
            print(f"\n{table.__name__}: {table.__doc__.strip()}\n")
            table(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
