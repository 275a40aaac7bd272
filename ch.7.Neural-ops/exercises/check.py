"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution (exercises 1 and 2; without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch7_neural_ops as ch7

rng = np.random.default_rng(1)


def nests(graph, value, name, ir=None) -> int:
    text = dict(ch7.stages(graph, value, name, ir=ir))["convert-linalg-to-loops"]
    return sum(line.startswith("    scf.for") for line in text.splitlines())


def softmax(file: pathlib.Path) -> None:
    """1: five loop nests."""
    ir = re.sub(r"//.*", "", file.read_text())
    graph = ch7.Graph()
    value = graph.softmax(graph.variable((4, 5)))
    fn = graph.compile(value, "softmax", ir=ir)
    for x in (rng.standard_normal((4, 5)), 1000 * rng.standard_normal((4, 5))):
        x = x.astype(np.float32)
        exact = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
        exact /= exact.sum(axis=1, keepdims=True)
        assert np.allclose(fn(x), exact, atol=1e-6), "the result is no softmax"
    count = nests(graph, value, "softmax", ir)
    assert count == 5, f"{count} loop nests, expected 5"


def sharing(file: pathlib.Path) -> None:
    """2: no node twice."""
    graph = chapters.run_script(file).SharingGraph()
    x, y, row = graph.variable((4, 4)), graph.variable((4, 4)), graph.variable((4,))
    assert graph.variable((4,)) is not row, "two variables have become one"
    twice = graph.mul(graph.add(x, y), graph.add(x, y))
    count = graph.get_mlir(twice, "f").count("linalg.add ")
    assert count == 1, f"add(x, y) and add(x, y): {count} additions, expected 1"
    swapped = graph.mul(graph.add(x, y), graph.add(y, x))
    assert graph.get_mlir(swapped, "f").count("linalg.add ") == 1, "x + y and y + x are two additions"
    deep = graph.matmul(graph.relu(graph.add(x, row)), graph.softmax(graph.relu(graph.add(x, row))))
    counts = [graph.get_mlir(deep, "f").count(f"linalg.{op} ") for op in ("add", "max", "matmul")]
    assert counts == [1, 1, 1], (
        f"relu(x + b) twice: additions, maxima and products {counts}, expected 1 of each"
    )
    products = graph.add(graph.matmul(x, y), graph.matmul(y, x))
    assert graph.get_mlir(products, "f").count("linalg.matmul ") == 2, "x @ y and y @ x are one product"
    different = graph.add(graph.add(x, y), graph.mul(x, y))
    text = graph.get_mlir(different, "f")
    assert (text.count("linalg.add "), text.count("linalg.mul ")) == (2, 1), "an operation is missing"


def sub(_file: pathlib.Path) -> None:
    """3: Graph.sub(a, b) -> a - b, in C++."""
    assert hasattr(ch7.Graph, "sub"), "Graph has no method sub yet"
    graph = ch7.Graph()
    x, y, row = graph.variable((4, 3)), graph.variable((4, 3)), graph.variable((3,))
    X, Y, R = (rng.standard_normal(shape, dtype=np.float32) for shape in ((4, 3), (4, 3), (3,)))
    assert np.array_equal(graph.compile(graph.sub(x, y))(X, Y), X - Y), "the result is not x - y"
    both = graph.relu(graph.sub(graph.sub(x, y), row))
    assert np.array_equal(graph.compile(both)(X, Y, R), np.maximum(X - Y - R, 0)), "a row is not subtracted"
    assert nests(graph, both, "f") == 1, "subtractions are not fused"
    try:
        graph.sub(row, x)
    except ValueError as error:
        sentence = (
            "sub: a is variable #2 of shape (3,), b is variable #0 of shape (4, 3): expected b of shape (3,)"
        )
        assert str(error) == sentence, f"a wrong shape says: {error}"
    else:
        raise AssertionError("a row minus a matrix is accepted")


EXERCISES = {"1": (softmax, "1_softmax.mlir"), "2": (sharing, "2_sharing.py"), "3": (sub, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch7.CompileError)))
