"""What fusion saves, and what a graph costs to compile and to call: chapter 7 beside NumPy.

    python3 bench/ch7.py

The candidates of a table take turns in one run; figures are medians of the turns. Everything runs on one thread.
"""

import pathlib
import re
import resource
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from timing import copy_of, medians, processor

import chapters  # finds the build tree

import ch7_neural_ops as ch7

show = chapters.run_script(chapters.ROOT / "ch.7.Neural-ops" / "show.py")


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def functions(graph, value) -> dict:
    return {"a loop nest for each op": graph.compile(value, fuse=False), "fused": graph.compile(value)}


def chain_cases(rows: int, columns: int) -> dict:
    """relu(x * a + b) * c + x"""
    arrays = [draw(rows, columns) for _ in range(4)]
    x, a, b, c = arrays
    cases = {name: lambda fn=fn: fn(*arrays) for name, fn in functions(*show.chain(rows, columns)).items()}
    cases["NumPy"] = lambda: np.maximum(x * a + b, 0) * c + x
    cases["copy of one array"] = copy_of(x.nbytes)
    return cases


def chain(rows: int, columns: int) -> dict[str, float]:
    return medians(chain_cases(rows, columns), 31 if rows * columns < 2**21 else 11)


def page_faults(rows: int, columns: int) -> dict[str, float]:
    """How often a call of a chain meets memory that the system has yet to give it, 4 KiB each time."""
    counts = {}
    for name, call in chain_cases(rows, columns).items():
        call()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            call()
        counts[name] = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
    return counts


def softmax(rows: int, columns: int) -> dict[str, float]:
    graph = ch7.Graph()
    value = graph.softmax(graph.variable((rows, columns)))
    x = draw(rows, columns)

    def numpy_softmax():
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    cases = {name: lambda fn=fn: fn(x) for name, fn in functions(graph, value).items()}
    return medians({**cases, "NumPy": numpy_softmax}, 21)


def layer(size: int) -> dict[str, float]:
    """relu(x @ w + b)"""
    graph = ch7.Graph()
    x, w, b = graph.variable((size, size)), graph.variable((size, size)), graph.variable((size,))
    value = graph.relu(graph.add(graph.matmul(x, w), b))
    X, W, B = draw(size, size), draw(size, size), draw(size)
    cases = {name: lambda fn=fn: fn(X, W, B) for name, fn in functions(graph, value).items()}
    return medians({**cases, "NumPy": lambda: np.maximum(X @ W + B, 0)}, 11)


# [into-product]
def into_a_product(size: int) -> dict[str, float]:
    """softmax(x) @ w, with a product that fusion knows and with one that it takes for any generic op."""
    graph = ch7.Graph()
    x, w = graph.variable((size, size)), graph.variable((size, size))
    value = graph.matmul(graph.softmax(x), w)
    named = graph.get_mlir(value)
    t = f"tensor<{size}x{size}xf32>"
    generic = re.sub(
        r"linalg.matmul (ins\(.*\) outs\(.*\)) -> (.*)",
        r"""linalg.generic {iterator_types = ["parallel", "parallel", "reduction"],
          indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>,
                           affine_map<(i, j, k) -> (i, j)>]} \1 {
        ^bb0(%l: f32, %r: f32, %sum: f32):
          %product = arith.mulf %l, %r : f32
          %next = arith.addf %sum, %product : f32
          linalg.yield %next : f32
        } -> \2""",
        named,
    )
    assert generic != named and t in named
    X, W = draw(size, size), draw(size, size)
    cases = {
        "linalg.matmul": graph.compile(value),
        "linalg.generic": graph.compile(value, ir=generic),
    }
    return medians({name: lambda fn=fn: fn(X, W) for name, fn in cases.items()}, 7)
    # [/into-product]


def call() -> dict[str, float]:
    graph, value = show.layer()
    fn = graph.compile(value)
    x, w, b = arrays = [draw(*shape) for shape in fn.argument_shapes]
    return medians(
        {
            "`execute_generic(fn, [x, w, b], (4, 5))`": (
                lambda: ch7.execute_generic(fn, arrays, (4, 5)),
                100,
            ),
            "`fn(x, w, b)`": (lambda: fn(x, w, b), 100),
            "NumPy, `np.maximum(x @ w + b, 0)`": (lambda: np.maximum(x @ w + b, 0), 100),
        },
        201,
    )


def compiling() -> dict[str, float]:
    graph, value = show.layer()

    def cold():
        ch7.clear_cache()
        graph.compile(value)

    def warm():
        graph.compile(value)

    return medians({"`compile`, not in the cache": cold, "`compile`, in the cache": warm}, 15)


def table(title: str, rows: dict[str, dict[str, float]], unit: str, factor: float, digits: int) -> None:
    names = list(next(iter(rows.values())))
    print(f"\n| {title}, {unit} | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for label, seconds in rows.items():
        print(f"| {label} | {' | '.join(f'{factor * seconds[name]:.{digits}f}' for name in names)} |")


def main() -> None:
    print(f"{processor()}, one thread, LLVM {chapters.llvm_major()}, NumPy {np.__version__}")
    sizes = [(128, 128), (512, 512), (1024, 1024), (4096, 2048)]
    rows = {f"{m}x{n}, {4 * m * n / 2**20:g} MB an array": chain(m, n) for m, n in sizes}
    table("relu(x * a + b) * c + x", rows, "ms", 1e3, 3)
    faults = {f"{m}x{n}": page_faults(m, n) for m, n in sizes}
    table("the same", faults, "page faults a call", 1, 0)
    table("softmax(x)", {"1024x1024": softmax(1024, 1024)}, "ms", 1e3, 2)
    table("relu(x @ w + b)", {f"{n}x{n}": layer(n) for n in (64, 256)}, "ms", 1e3, 3)
    table("softmax(x) @ w", {f"{n}x{n}": into_a_product(n) for n in (64, 256)}, "ms", 1e3, 2)
    for title, unit, factor, seconds in (
        ("one call, x (4, 3)", "µs", 1e6, call()),
        ("relu(x @ w + b)", "ms", 1e3, compiling()),
    ):
        print(f"\n| {title} | {unit} |\n|---|---|")
        for name, value in seconds.items():
            print(f"| {name} | {factor * value:.2f} |")


if __name__ == "__main__":
    main()
