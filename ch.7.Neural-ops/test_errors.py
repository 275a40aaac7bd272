"""Mistakes in graphs, in calls and in IR: each is a sentence that says what was expected and what came."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch7
from ch7_testing import B, X

# --- in graphs and in calls ---------------------------------------------------------------------------

G = ch7.Graph()
V = {
    shape: G.variable(shape)
    for shape in [(3, 4), (4, 3), (4,), (3,), (5, 2), (2, 3, 4), (3, 4, 5), (2, 5, 4)]
}
RELU = G.relu(V[5, 2])
OTHER = ch7.Graph().variable((3, 4))


@pytest.mark.parametrize(
    "build, error, sentence",
    [
        (
            lambda: G.matmul(V[3, 4], RELU),
            ValueError,
            "matmul: a is variable #0 of shape (3, 4), b is relu #8 of shape (5, 2): expected 4 rows in b, got 5",
        ),
        (
            lambda: G.matmul(V[3, 4], V[4,]),
            ValueError,
            "matmul: a is variable #0 of shape (3, 4), b is variable #2 of shape (4,): expected two matrices, or "
            "two stacks of matrices",
        ),
        (
            lambda: G.matmul(V[2, 3, 4], V[3, 4, 5]),
            ValueError,
            "matmul: a is variable #5 of shape (2, 3, 4), b is variable #6 of shape (3, 4, 5): expected 2 matrices "
            "in b, got 3",
        ),
        (
            lambda: G.matmul(V[2, 3, 4], V[2, 5, 4]),
            ValueError,
            "matmul: a is variable #5 of shape (2, 3, 4), b is variable #7 of shape (2, 5, 4): expected 4 rows in "
            "b, got 5",
        ),
        (
            lambda: G.add(V[3, 4], V[4, 3]),
            ValueError,
            "add: a is variable #0 of shape (3, 4), b is variable #1 of shape (4, 3): expected b of shape (3, 4) or "
            "(4,)",
        ),
        (
            lambda: G.add(V[3, 4], V[3,]),
            ValueError,
            "add: a is variable #0 of shape (3, 4), b is variable #3 of shape (3,): expected b of shape (3, 4) or "
            "(4,)",
        ),
        (
            lambda: G.mul(V[4,], V[3, 4]),
            ValueError,
            "mul: a is variable #2 of shape (4,), b is variable #0 of shape (3, 4): expected b of shape (4,)",
        ),
        (
            lambda: G.mul(V[2, 3, 4], V[3, 4]),
            ValueError,
            "mul: a is variable #5 of shape (2, 3, 4), b is variable #0 of shape (3, 4): expected b of shape "
            "(2, 3, 4) or (4,)",
        ),
        (lambda: G.add(V[3, 4], OTHER), ValueError, "add: b is variable #0 of shape (3, 4) of another graph"),
        (lambda: G.mul(OTHER, V[3, 4]), ValueError, "mul: a is variable #0 of shape (3, 4) of another graph"),
        (
            lambda: G.matmul(OTHER, RELU),
            ValueError,
            "matmul: a is variable #0 of shape (3, 4) of another graph",
        ),
        (lambda: G.relu(OTHER), ValueError, "relu: x is variable #0 of shape (3, 4) of another graph"),
        (lambda: G.softmax(OTHER), ValueError, "softmax: x is variable #0 of shape (3, 4) of another graph"),
        (lambda: G.get_mlir(OTHER, "f"), ValueError, "value is variable #0 of shape (3, 4) of another graph"),
        (lambda: G.compile(OTHER, "f"), ValueError, "value is variable #0 of shape (3, 4) of another graph"),
        (lambda: ch7.stages(G, OTHER), ValueError, "value is variable #0 of shape (3, 4) of another graph"),
        (lambda: G.add(V[3, 4], 1.0), TypeError, "add: b: expected a value of a graph, got float"),
        (lambda: G.relu(np.ones(3)), TypeError, "relu: x: expected a value of a graph, got ndarray"),
        (lambda: G.compile(None, "f"), TypeError, "value: expected a value of a graph, got NoneType"),
        (lambda: G.variable(()), ValueError, "variable: expected 1 to 3 sizes, got shape ()"),
        (
            lambda: G.variable((1, 2, 3, 4)),
            ValueError,
            "variable: expected 1 to 3 sizes, got shape (1, 2, 3, 4)",
        ),
        (lambda: G.variable([3, -1]), ValueError, "variable: expected sizes of 0 or more, got shape (3, -1)"),
        (lambda: G.variable((-1,)), ValueError, "variable: expected sizes of 0 or more, got shape (-1,)"),
        (lambda: G.variable(3), TypeError, "shape: expected a list or a tuple of integers, got int"),
        (lambda: G.variable("34"), TypeError, "shape: expected a list or a tuple of integers, got str"),
        (lambda: G.variable((3, 4.0)), TypeError, "shape: expected integers, got float"),
        (lambda: G.variable((True, 2)), TypeError, "shape: expected integers, got bool"),
        (lambda: G.variable((2**70,)), ValueError, "shape: 1180591620717411303424 is no size"),
        (
            lambda: G.variable((2**40, 2**40)),
            ValueError,
            "variable: the result would have shape (1099511627776, 1099511627776), more than 2147483648 elements",
        ),
        (
            lambda: G.variable((0, 2**40, 2**40)),
            ValueError,
            "variable: the result would have shape (0, 1099511627776, 1099511627776), more than 2147483648 elements",
        ),
        (
            lambda: G.matmul(G.variable((2**16, 1)), G.variable((1, 2**16))),
            ValueError,
            "matmul: the result would have shape (65536, 65536), more than 2147483648 elements",
        ),
        *(
            (
                lambda name=name: G.get_mlir(RELU, name),
                ValueError,
                f"name: expected letters, digits and underscores, no digit first, got '{name}'",
            )
            for name in ("", "1st", "a b", "a.b", 'a"', "naïve", "f\n")
        ),
    ],
)
def test_a_mistake_in_a_graph_is_a_sentence(build, error, sentence):
    values = len(G)
    with pytest.raises(error) as raised:
        build()
    assert type(raised.value) is error and str(raised.value) == sentence
    assert len(G) <= values + 2 and G.add(V[3, 4], V[4,]).shape == (3, 4)  # and the graph goes on


@pytest.fixture(scope="module")
def biased():
    """x + b, with a variable between the two that it does not need."""
    g = ch7.Graph()
    x, _, b = g.variable((4, 3)), g.variable((9, 9)), g.variable((3,))
    return g.compile(g.add(x, b), "biased")


@pytest.mark.parametrize(
    "arrays, shape, error, sentence",
    [
        (
            [X],
            (4, 3),
            ValueError,
            "arrays: expected 2 (variable #0 of shape (4, 3), variable #2 of shape (3,)), got 1",
        ),
        (
            [X, X, B],
            (4, 3),
            ValueError,
            "arrays: expected 2 (variable #0 of shape (4, 3), variable #2 of shape (3,)), got 3",
        ),
        ([B, X], (4, 3), ValueError, "arrays[0], variable #0: expected shape (4, 3), got (3,)"),
        ([X, B[:2]], (4, 3), ValueError, "arrays[1], variable #2: expected shape (3,), got (2,)"),
        ([X.T, B], (4, 3), ValueError, "arrays[0], variable #0: expected shape (4, 3), got (3, 4)"),
        (
            [X, B.astype(np.float64)],
            (4, 3),
            TypeError,
            "arrays[1], variable #2: expected an array of float32, got one of float64",
        ),
        (
            [X.astype(np.int32), B],
            (4, 3),
            TypeError,
            "arrays[0], variable #0: expected an array of float32, got one of int32",
        ),
        (
            [X, B.astype(">f4")],
            (4, 3),
            TypeError,
            "arrays[1], variable #2: expected an array of float32, got one of >f4",
        ),
        (
            [X.tolist(), B],
            (4, 3),
            TypeError,
            "arrays[0], variable #0: expected a NumPy array of float32, got list",
        ),
        (
            [X, None],
            (4, 3),
            TypeError,
            "arrays[1], variable #2: expected a NumPy array of float32, got NoneType",
        ),
        (X, (4, 3), TypeError, "arrays: expected a list or a tuple of NumPy arrays, got ndarray"),
        (None, (4, 3), TypeError, "arrays: expected a list or a tuple of NumPy arrays, got NoneType"),
        (
            [X, B],
            (3, 4),
            ValueError,
            "out_shape: expected (4, 3), the shape of biased((4, 3), (3,)) -> (4, 3), got (3, 4)",
        ),
        (
            [X, B],
            [12],
            ValueError,
            "out_shape: expected (4, 3), the shape of biased((4, 3), (3,)) -> (4, 3), got [12]",
        ),
        ([X, B], 12, TypeError, "out_shape: expected a list or a tuple of integers, got int"),
        ([X, B], (4, "3"), TypeError, "out_shape: expected integers, got str"),
        ([X, B], (4, 2**64), ValueError, "out_shape: 18446744073709551616 is no size"),
    ],
)
def test_a_wrong_call_is_a_sentence(biased, arrays, shape, error, sentence):
    with pytest.raises(error) as raised:
        ch7.execute_generic(biased, arrays, shape)
    assert type(raised.value) is error and str(raised.value) == sentence
    assert np.array_equal(ch7.execute_generic(biased, [X, B], [4, 3]), X + B)


def test_what_is_no_compiled_function_is_refused():
    for thing in (None, 5, lambda: 0, "f"):
        with pytest.raises(
            TypeError, match=f"fn: expected what Graph.compile.. returns, got {type(thing).__name__}"
        ):
            ch7.execute_generic(thing, [X], (4, 3))
    assert np.array_equal(
        ch7.execute_generic(arrays=(X,), fn=G2, out_shape=np.array([4, 3]).tolist()), np.maximum(X, 0)
    )


G2 = (lambda g: g.compile(g.relu(g.variable((4, 3))), "positive"))(ch7.Graph())


# --- in IR --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old, new, sentences",
    [
        (
            "tensor<4x3xf32>) outs",
            "tensor<4x2xf32>) outs",
            ["the IR could not be read", "ir:7:32: error: use of value '%1' expects different type"],
        ),
        ("@f(", "@g(", ["the IR defines no func.func @f"]),
        (
            "tensor<4x3xf32> {",
            "tensor<?x3xf32> {",
            ["error:"],
        ),
        ("linalg.max", "linalg.maxx", ["custom op 'linalg.maxx' is unknown"]),
        ("module {", 'module { func.func private @"ch7.entry"()', ["the IR uses the name ch7.entry"]),
    ],
)
def test_a_failed_compile_says_what_mlir_says(old, new, sentences, capfd):
    g = ch7.Graph()
    y = g.relu(g.variable((4, 3)))
    ir = g.get_mlir(y, "f")
    assert old in ir
    misses = ch7.cache_info().misses
    with pytest.raises(ch7.CompileError) as raised:
        g.compile(y, "f", ir=ir.replace(old, new))
    for sentence in sentences:
        assert sentence in str(raised.value)
    assert capfd.readouterr() == ("", "")
    assert ch7.cache_info().misses == misses  # nothing stays behind
    assert np.array_equal(g.compile(y, "f")(X), np.maximum(X, 0))


def test_a_text_is_not_taken_for_another_type():
    """The key of the cache is the text and the type that it must have."""
    g = ch7.Graph()
    small, large = g.relu(g.variable((2,))), g.relu(g.variable((2000,)))
    ir = g.get_mlir(small, "f")
    g.compile(small, "f", ir=ir)
    with pytest.raises(ch7.CompileError, match=r"@f: expected the type \(tensor<2000xf32>\)"):
        g.compile(large, "f", ir=ir)
    with pytest.raises(ch7.CompileError, match="the IR defines no func.func @g"):
        g.compile(small, "g", ir=ir)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
