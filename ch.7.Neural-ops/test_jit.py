"""What chapter 7 must do. Run it by pytest, or as a script: `python3 test_jit.py`."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import strided

import ch7
import ch7_neural_ops
from ch7_testing import Exact, draw, run, show

# --- programs that nobody wrote ----------------------------------------------------------------------


# [random-graph]
@st.composite
def graphs(draw):
    """A random graph, arrays for its variables, and what its last value must be."""
    graph, arrays, values = ch7.Graph(), [], []  # values: (node, Exact)
    size = st.integers(0, 6)

    def variable(shape):
        array = draw(strided(shape))
        node = graph.variable(shape)
        arrays.append((node, array))
        values.append((node, Exact(array)))
        return values[-1]

    def operand(shape):
        """A value of this shape: one that is there (it is then used again), or a new variable."""
        fitting = [pair for pair in values if pair[0].shape == shape]
        return draw(st.sampled_from(fitting)) if fitting and draw(st.booleans()) else variable(shape)

    variable(tuple(draw(st.lists(size, min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 8))):
        a = draw(st.sampled_from(values))
        op = draw(st.sampled_from(["add", "mul", "add row", "mul row", "matmul", "relu", "softmax"]))
        shape = a[0].shape
        if op == "matmul" and len(shape) == 1:
            op = "relu"
        name = op.split()[0]
        if op in ("relu", "softmax"):
            operands = [a]
        elif op == "matmul":
            operands = [a, operand((*shape[:-2], shape[-1], draw(size)))]
        else:
            operands = [a, operand(shape[-1:] if "row" in op else shape)]
        node = getattr(graph, name)(*(n for n, _ in operands))
        values.append((node, getattr(operands[0][1], name)(*(e for _, e in operands[1:]))))
    value, exact = values[-1]
    assume((np.abs(exact.value) + exact.error < 1e30).all())
    text = graph.get_mlir(value)
    used = [array for node, array in arrays if uses(graph, value, node)]
    assert text.count("bufferization.writable = false") == len(used)
    return graph, value, used, exact
    # [/random-graph]


def uses(graph, value, variable) -> bool:
    """Whether the function of `value` has `variable` as an argument: what its errors say."""
    try:
        graph.compile(value)(*range(1000))
    except ValueError as error:
        return re.search(re.escape(repr(variable)[1:-1]) + r"[,)]", str(error)) is not None
    raise AssertionError("a thousand arguments are accepted")


@settings(deadline=None, max_examples=60)
@given(graphs())
def test_any_graph_is_numpys(case):
    graph, value, arrays, exact = case
    result = run(graph, value, *arrays)
    assert exact.is_close(result)
    assert result.tobytes() == run(graph, value, *arrays).tobytes()  # the same bits again
    # Fusion leaves out loops and memory, never an operation: the same bits without it.
    assert result.tobytes() == run(graph, value, *arrays, fuse=False).tobytes()


def test_the_oracle_sees_an_error():
    x = draw(5, 7)
    exact = Exact(x).softmax()
    right = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    assert exact.is_close(right) and not exact.is_close(right * np.float32(1 + 1e-5))
    product = Exact(x).matmul(Exact(x.T))
    assert product.is_close(x @ x.T) and not product.is_close(x @ x.T + np.float32(1e-4))


# --- the operations ----------------------------------------------------------------------------------


def test_known_values():
    g = ch7.Graph()
    x, w, b = g.variable((2, 3)), g.variable((3, 2)), g.variable((2,))
    X = np.array([[1, 2, 3], [-4, -5, -6]], np.float32)
    W = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    B = np.array([10, -10], np.float32)
    assert run(g, g.matmul(x, w), X, W).tolist() == [[4, 5], [-10, -11]]
    assert run(g, g.add(g.matmul(x, w), b), X, W, B).tolist() == [[14, -5], [0, -21]]
    assert run(g, g.mul(g.matmul(x, w), b), X, W, B).tolist() == [[40, -50], [-100, 110]]
    assert run(g, g.relu(x), X).tolist() == [[1, 2, 3], [0, 0, 0]]
    assert run(g, g.softmax(g.mul(b, b)), B).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("fuse", [True, False])
def test_a_network(fuse):
    g = ch7.Graph()
    shapes = [(7, 20), (20, 33), (33,), (33, 5), (5,)]
    x, w1, b1, w2, b2 = variables = [g.variable(shape) for shape in shapes]
    y = g.softmax(g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2))
    arrays = [draw(*v.shape, seed=i) for i, v in enumerate(variables)]
    X, W1, B1, W2, B2 = map(Exact, arrays)
    exact = X.matmul(W1).add(B1).relu().matmul(W2).add(B2).softmax()
    assert exact.is_close(run(g, y, *arrays, fuse=fuse))


def test_stacks_of_matrices():
    g = ch7.Graph()
    a, b, row = g.variable((3, 4, 5)), g.variable((3, 5, 2)), g.variable((2,))
    A, B, R = draw(3, 4, 5), draw(3, 5, 2), draw(2)
    exact = Exact(A).matmul(Exact(B)).mul(Exact(R)).softmax()
    assert exact.is_close(run(g, g.softmax(g.mul(g.matmul(a, b), row)), A, B, R))


def test_special_values():
    nan, inf = np.float32(np.nan), np.float32(np.inf)
    g = ch7.Graph()
    x = g.variable((4,))
    X = np.array([nan, -inf, inf, -0.0], np.float32)
    positive = run(g, g.relu(x), X)
    assert np.isnan(positive[0]) and positive[1:].tolist() == [0, inf, 0]
    assert np.isnan(run(g, g.softmax(x), X)).all()  # one NaN in a row, and all of it is
    rows = np.array([[-inf, 0, -inf, 0], [1000, 0, 0, 0], [-inf] * 4, [88, 88, 88, 89]], np.float32)
    y = g.variable((4, 4))
    result = run(g, g.softmax(y), rows)
    assert result[0].tolist() == [0, 0.5, 0, 0.5] and result[1].tolist() == [1, 0, 0, 0]
    assert np.isnan(result[2]).all() and np.isfinite(result[3]).all()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 2, 3), (2, 3, 0)])
def test_nothing_in_nothing_out(shape):
    g = ch7.Graph()
    x, row = g.variable(shape), g.variable(shape[-1:])
    y = g.softmax(g.relu(g.add(g.mul(x, x), row)))
    assert run(g, y, np.ones(shape, np.float32), np.ones(shape[-1:], np.float32)).shape == shape


def test_a_sum_of_nothing_is_zero():
    g = ch7.Graph()
    y = g.matmul(g.variable((2, 0)), g.variable((0, 3)))
    assert run(g, y, np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)).tolist() == [[0] * 3] * 2


def test_a_variable_is_a_value():
    g = ch7.Graph()
    x = g.variable((2, 3))
    X = draw(2, 3)
    result = run(g, x, X)
    assert np.array_equal(result, X) and not np.shares_memory(result, X)


@settings(deadline=None, max_examples=100)
@given(strided((3, 4)), strided((4,)), strided((2, 4, 3)))
def test_strides_do_not_matter(A, row, stack):
    g = ch7.Graph()
    a, b, c = g.variable((3, 4)), g.variable((4,)), g.variable((2, 4, 3))
    assert np.array_equal(run(g, g.add(a, b), A, row), A + row)
    assert np.array_equal(run(g, g.relu(c), stack), np.maximum(stack, 0))


@pytest.mark.parametrize("fuse", [True, False])
def test_inputs_are_not_written(fuse):
    g = ch7.Graph()
    x, b = g.variable((4, 3)), g.variable((3,))
    X, B = draw(4, 3), draw(3)
    X.flags.writeable = B.flags.writeable = False
    before = X.tobytes(), B.tobytes()
    for y in (g.add(x, b), g.softmax(g.mul(g.relu(x), b)), g.mul(g.add(g.mul(x, x), b), b)):
        run(g, y, X, B, fuse=fuse)
    # Text that computes in its argument, and does not say that it must not: it gets a copy to do so.
    ir = """func.func @f(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
      %y = linalg.exp ins(%x : tensor<4x3xf32>) outs(%x : tensor<4x3xf32>) -> tensor<4x3xf32>
      return %y : tensor<4x3xf32>
    }"""
    assert np.allclose(g.compile(g.relu(x), "f", ir=ir, fuse=fuse)(X), np.exp(X))
    assert (X.tobytes(), B.tobytes()) == before


def test_results_are_fresh():
    g = ch7.Graph()
    fn = g.compile(g.relu(g.variable((4, 3))), "f")
    X = draw(4, 3)
    first = fn(X)
    kept = first.copy()
    second = fn(-X)
    assert not np.shares_memory(first, second) and np.array_equal(first, kept)
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous


# --- arguments ---------------------------------------------------------------------------------------


def test_arguments_are_in_the_order_in_which_the_variables_were_made():
    g = ch7.Graph()
    x, y, z = (g.variable((2,)) for _ in range(3))
    value = g.add(g.mul(z, y), x)  # first met in another order
    X, Y, Z = (np.float32([i, 10 * i]) for i in (1, 2, 3))
    assert run(g, value, X, Y, Z).tolist() == (Z * Y + X).tolist()


def test_unused_variables_are_no_arguments():
    g = ch7.Graph()
    x, _, b = g.variable((4, 3)), g.variable((9, 9)), g.variable((3,))
    y = g.add(x, b)
    fn = g.compile(y, "f")
    assert fn.argument_shapes == ((4, 3), (3,)) and fn.result_shape == (4, 3)
    later = g.variable((1,))
    assert g.compile(y, "f").argument_shapes == fn.argument_shapes and later.shape == (1,)


@pytest.mark.parametrize(
    "rank_1, rank_2, rank_3", [*((n, 0, 0) for n in range(1, 25)), (20, 3, 0), (3, 4, 8)]
)
def test_a_call_of_any_number_of_words(rank_1, rank_2, rank_3):
    """Up to 128 words, each argument in its place."""
    g = ch7.Graph()
    shapes = [(2,)] * rank_1 + [(3, 2)] * rank_2 + [(2, 3, 2)] * rank_3
    variables = [g.variable(shape) for shape in shapes]
    value = max(variables, key=lambda v: len(v.shape))
    for v in variables:
        if v.shape == value.shape or len(v.shape) == 1:
            value = g.add(g.mul(value, v), v)
    arrays = [draw(*shape, seed=i) for i, shape in enumerate(shapes)]
    exact = None
    for a in [max(arrays, key=lambda a: a.ndim)]:
        exact = Exact(a)
    for a in arrays:
        if a.shape == exact.value.shape or a.ndim == 1:
            exact = exact.mul(Exact(a)).add(Exact(a))
    used = [a for a in arrays if a.shape == exact.value.shape or a.ndim == 1]
    assert exact.is_close(run(g, value, *used))


def test_128_words_and_no_more():
    g = ch7.Graph()
    y = g.variable((2, 2))
    for _ in range(2):
        y = g.matmul(y, g.variable((2, 2)))
    for _ in range(20):
        y = g.add(y, g.variable((2,)))
    arrays = [draw(2, 2)] * 3 + [draw(2, seed=i) for i in range(20)]
    expected = arrays[0] @ arrays[1] @ arrays[2] + sum(arrays[3:])
    assert np.allclose(run(g, y, *arrays), expected, atol=1e-5)  # 4 * 7 + 20 * 5 = 128
    z = g.add(y, g.variable((2,)))
    with pytest.raises(ValueError, match="f: a call would take 133 words for 24 variables and the result; "):
        g.compile(z, "f")
    assert "%arg23" in g.get_mlir(z, "f")  # its IR is nothing special


def test_words():
    for shape, rest in (
        ((7,), [7, 1]),
        ((2, 3), [2, 3, 3, 1]),
        ((2, 3, 4), [2, 3, 4, 12, 4, 1]),
    ):
        array = np.zeros(shape, np.float32)
        assert ch7.words(array) == [array.ctypes.data, array.ctypes.data, 0, *rest]
    assert len(ch7.words(np.zeros((2, 3), np.float32).T)) == 7  # of a copy in C order
    assert ch7.words(np.zeros((2, 3), np.float32).T)[3:] == [3, 2, 2, 1]


# --- names --------------------------------------------------------------------------------------------


def test_names_that_c_has_taken():
    """The code calls malloc, free, expf and memset; a graph that is called so does not take their place."""
    g = ch7.Graph()
    x = g.variable((40, 50))
    y = g.softmax(g.relu(x))
    for name in ("malloc", "free", "expf", "memset", "main", "_start"):
        assert Exact(draw(40, 50)).relu().softmax().is_close(g.compile(y, name)(draw(40, 50)))


def test_names():
    assert ch7 is ch7_neural_ops
    graph, value = show.layer()
    assert repr(graph) == "<Graph of 6 values>" and len(graph) == 6
    assert repr(value) == "<relu #5 of shape (4, 5)>" and value.shape == (4, 5)
    fn = graph.compile(value, "layer")
    assert repr(fn) == "<compiled layer((4, 3), (3, 5), (5,)) -> (4, 5)>"
    assert (fn.name, fn.argument_shapes, fn.result_shape) == ("layer", ((4, 3), (3, 5), (5,)), (4, 5))
    assert graph.compile(value).name == "main" and "@main(" in graph.get_mlir(value)
    assert isinstance(value, ch7.Value) and isinstance(fn, ch7.Function)
    for thing in (ch7, ch7.Graph.add, ch7.Graph.compile, ch7.execute_generic):
        assert thing.__doc__


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
