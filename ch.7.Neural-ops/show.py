"""What becomes of one layer, relu(x @ w + b): `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

`python3 show.py loops` counts the loop nests of a few graphs without and with fusion. With `unfused` before the rest
(`python3 show.py unfused stages`) the layer is lowered without fusion.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch7_neural_ops as ch7


# [layer]
def layer():
    graph = ch7.Graph()
    x, w, b = graph.variable((4, 3)), graph.variable((3, 5)), graph.variable((5,))
    return graph, graph.relu(graph.add(graph.matmul(x, w), b))
    # [/layer]


def softmax():
    graph = ch7.Graph()
    return graph, graph.softmax(graph.variable((4, 5)))


# [chain]
def chain(rows=4, columns=5):
    """relu(x * a + b) * c + x: five operations on matrices of one shape."""
    graph = ch7.Graph()
    x, a, b, c = (graph.variable((rows, columns)) for _ in range(4))
    y = graph.relu(graph.add(graph.mul(x, a), b))
    return graph, graph.add(graph.mul(y, c), x)
    # [/chain]


# [nests]
def loop_nests(graph, value, fuse: bool) -> int:
    """How many loops stand in no other loop, once all loops are there."""
    ir = dict(ch7.stages(graph, value, fuse=fuse))["convert-linalg-to-loops"]
    return sum(line.startswith("    scf.for") for line in ir.splitlines())
    # [/nests]


def print_loops() -> None:
    print("                              as built   fused")
    for name, build in (
        ("relu(x @ w + b)", layer),
        ("softmax(x)", softmax),
        ("relu(x * a + b) * c + x", chain),
    ):
        print(f"{name:28}{loop_nests(*build(), False):9}{loop_nests(*build(), True):9}")


if __name__ == "__main__":
    if sys.argv[1:] == ["loops"]:
        print_loops()
        raise SystemExit(0)
    fuse = sys.argv[1:2] != ["unfused"]
    if not fuse:
        del sys.argv[1]
    raise SystemExit(chapters.show(ch7, *layer(), "layer", fuse))
