"""The dialect nn as text: what a graph prints, what it becomes, and that it computes what chapter 7 computes."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

import ch7_neural_ops as ch7
import ch8
import graph_builder
from lowering import OPS, MLIRLowering

# --- the dialect as text -------------------------------------------------------------------------------


@st.composite
def networks(draw):
    """The same operations on a graph of this chapter and on one of ch.7, and arrays for the variables."""
    ours, theirs = graph_builder.Graph(), ch7.Graph()
    pairs, arrays = [], []

    def variable(shape):
        pairs.append((ours.variable(shape), theirs.variable(shape)))
        arrays.append(np.random.default_rng(len(arrays)).standard_normal(shape, dtype=np.float32))
        return pairs[-1]

    variable(tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 6))):
        a = draw(st.sampled_from(pairs))
        op = draw(st.sampled_from(["add", "mul", "matmul", "relu", "softmax"]))
        shape = a[0].shape
        operands = [a]
        if op in ("add", "mul"):
            wanted = draw(st.sampled_from([shape, shape[-1:]]))
            operands += [
                draw(st.sampled_from([p for p in pairs if p[0].shape == wanted] or [None]))
                or variable(wanted)
            ]
        elif op == "matmul":
            if len(shape) < 2:
                continue
            operands += [variable((*shape[:-2], shape[-1], draw(st.integers(0, 4))))]
        pairs.append(tuple(getattr(g, op)(*(o[i] for o in operands)) for i, g in enumerate((ours, theirs))))
    return ours, theirs, *pairs[-1], arrays


@settings(deadline=None, max_examples=40)
@given(networks())
def test_the_text_computes_what_chapter_7_computes(network):
    ours, theirs, value, their_value, arrays = network
    text = MLIRLowering().lower_graph(ours, value, "net")
    fn = theirs.compile(their_value, "net")
    number = {v.number: i for i, v in enumerate(v for v in ours._values if v.op == "nn.variable")}
    needed = [number[int(n)] for n in re.findall(r"%(\d+) = nn\.variable", ours.text(value))]
    arrays = [arrays[i] for i in needed]
    expected = ch7.execute_generic(fn, arrays, value.shape)
    result = ch8.execute(text, "net", arrays, value.shape, trusted=True)
    assert value.shape == their_value.shape
    assert np.allclose(result, expected, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_the_text_of_a_graph():
    g = graph_builder.Graph()
    x, unused, w = g.variable((4, 3)), g.variable([9]), g.variable((3, 5))
    h = g.matmul(x, w)
    assert str(h) == "%3 = nn.matmul %0, %2 : (tensor<4x3xf32>, tensor<3x5xf32>) -> tensor<4x5xf32>"
    assert repr(h) == f"<{h}>"
    twice = g.add(h, h)
    assert [line.split()[0] for line in g.text(twice).splitlines()] == ["%0", "%2", "%3", "%4"]
    assert len(str(g).splitlines()) == 5
    assert g.text(unused) == "%1 = nn.variable : tensor<9xf32>\n"


def test_a_deep_graph():
    g = graph_builder.Graph()
    y = g.variable((2,))
    for _ in range(300):
        y = g.add(y, y)
    out = ch8.execute(MLIRLowering().lower_graph(g, y), "main", [np.float32([1, 0])], (2,), trusted=True)
    assert np.isinf(out[0]) and out[1] == 0


def test_operands_that_do_not_fit():
    g, other = graph_builder.Graph(), graph_builder.Graph()
    x, w, v = g.variable((3, 4)), g.variable((4, 5)), g.variable((5,))
    for call, sentence in [
        (lambda: g.matmul(x, x), "nn.matmul: expected [M, K] and [K, N]"),
        (lambda: g.matmul(v, w), "got <%2 = nn.variable : tensor<5xf32>> and <%1 = nn.variable"),
        (lambda: g.add(x, w), "nn.add: expected b of a's shape or of that of a's rows"),
        (lambda: g.mul(v, x), "nn.mul: expected b"),
        (lambda: g.relu(other.variable((2,))), "belongs to another graph"),
        (lambda: g.variable(()), "variable: expected 1 to 3 sizes"),
        (lambda: g.variable((1, -1)), "of 0 or more"),
        (lambda: g.variable((2**20, 2**20)), "more than 2147483648 elements"),
        (lambda: MLIRLowering().lower_graph(g, x, "two words"), "name: expected letters"),
        (lambda: other.text(x), "belongs to another graph"),
    ]:
        with pytest.raises(ValueError, match=re.escape(sentence)):
            call()
    for call in (
        lambda: g.add(x, np.ones((3, 4), np.float32)),
        lambda: g.variable(3),
        lambda: g.variable((1.5,)),
    ):
        with pytest.raises(TypeError):
            call()


X = "tensor<4x3xf32>"
V = "%0 = nn.variable : tensor<4x3xf32>\n"


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "the nn text has no operation"),
        ("rubbish", "line 1: not an nn operation: rubbish"),
        (V + f"%1 = nn.tanh %0 : ({X}) -> {X}", "line 2: no such operation, there are nn.variable, nn.add"),
        (V + "%1 = nn.relu %7 : (tensor<4x3xf32>) -> tensor<4x3xf32>", "line 2: %7 is not defined"),
        (V + V, "line 2: %0 is defined twice"),
        (V + "%1 = nn.relu %0 : (tensor<4x4xf32>) -> tensor<4x4xf32>", "the operands have the types tensor<4x3xf32>"),
        (V + "%1 = nn.relu %0 : (tensor<4x3xf32>) -> tensor<3x4xf32>", "the result has the type tensor<4x3xf32>"),
        (V + "%1 = nn.relu : tensor<4x3xf32>", "a wrong number of operands"),
        (V + f"%1 = nn.relu %0, %0 : ({X}, {X}) -> {X}", "a wrong number of operands"),
        (V + f"%1 = nn.matmul %0, %0 : ({X}, {X}) -> {X}", "the operands do not fit"),
        (V + "%1 = nn.variable %0 : (tensor<4x3xf32>) -> tensor<4x3xf32>", "a variable has no operands"),
        ("%0 = nn.variable : tensor<4x3xf64>", "not an nn operation"),
        ("%0 = nn.variable : tensor<4x3xf32>) { llvm.unreachable", "not an nn operation"),
    ],
)  # fmt: skip
def test_nn_text_that_is_wrong_names_the_line(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        MLIRLowering().lower_text(text)


def test_a_wrong_template_is_found_when_it_is_used():
    wrong = OPS["nn.relu"]._replace(template=OPS["nn.relu"].template.replace("maximumf", "maxf"))
    with pytest.raises(ch8.CompileError, match="custom op 'arith.maxf' is unknown"):
        MLIRLowering(OPS | {"nn.relu": wrong}).lower_text(
            V + "%1 = nn.relu %0 : (tensor<4x3xf32>) -> tensor<4x3xf32>"
        )


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
