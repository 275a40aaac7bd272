"""relu(relu(x @ w)) in ch.8's dialect, which is text; TUTORIAL.md compares: `python3 tutorial/text.py CASE`.

CASE: nn, mlir print the two texts; typo, shape, verification do what goes wrong.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # finds the build tree

import ch8_custom_dialect as ch8
from graph_builder import Graph
from lowering import OPS, MLIRLowering


def network() -> tuple:
    g = Graph()
    return g, g.relu(g.relu(g.matmul(g.variable((4, 8)), g.variable((8, 16)))))


def typo():
    # [typo]
    softmax = OPS["nn.softmax"]
    ops = OPS | {"nn.softmax": softmax._replace(template=softmax.template.replace("{rows}", "{row}"))}
    MLIRLowering(ops).lower_graph(*network())  # no softmax in it: nobody minds
    g = Graph()
    MLIRLowering(ops).lower_graph(g, g.softmax(g.variable((4, 8))))
    # [/typo]


def shape():
    # [shape]
    MLIRLowering().lower_text("%0 = nn.variable : tensor<?x8xf32>")
    # [/shape]


def verification():
    # [verification]
    text = MLIRLowering().lower_graph(*network())
    ch8.ir(text.replace("tensor<8x16xf32>", "tensor<7x16xf32>"))
    # [/verification]


if __name__ == "__main__":
    graph, value = network()
    if sys.argv[1:] == ["nn"]:
        print(graph.text(value), end="")
    elif sys.argv[1:] == ["mlir"]:
        print(MLIRLowering().lower_graph(graph, value), end="")
    else:
        cases = {case.__name__: case for case in (typo, shape, verification)}
        raise SystemExit(chapters.show_error(cases, __doc__, errors=(ch8.CompileError, KeyError)))
