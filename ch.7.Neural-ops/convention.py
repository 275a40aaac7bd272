"""How a call passes memrefs: `python3 convention.py words | call | used`."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch7_neural_ops as ch7

layer = chapters.run_script(pathlib.Path(__file__).resolve().parent / "show.py").layer


def names(rank: int) -> list[str]:
    """What the words of one memref are called."""
    return ["allocated", "aligned", "offset"] + [
        f"{what}[{i}]" for what in ("size", "stride") for i in range(rank)
    ]


def words() -> None:
    # [words]
    for shape in ((7,), (2, 3), (2, 3, 4)):
        first, second, *rest = ch7.words(np.zeros(shape, np.float32))
        assert first == second  # NumPy's address, twice
        print(f"float32 {str(shape):10} {2 + len(rest)} words:  address address ", *rest)
    # [/words]


def call() -> None:
    graph, value = layer()
    shapes = [*graph.compile(value).argument_shapes, value.shape]
    number = 0
    for name, shape in zip("xwby", shapes):
        values = ["&" + name, "&" + name, *ch7.words(np.zeros(shape, np.float32))[2:]]
        for what, word in zip(names(len(shape)), values):
            number += 1
            print(f"{number:3}  {name}.{what:10} {word}")


def used() -> None:
    """Which arguments of the optimized function its code uses."""
    graph, value = layer()
    shapes = [*graph.compile(value).argument_shapes, value.shape]
    labels = [f"{name}.{what}" for name, shape in zip("xwby", shapes) for what in names(len(shape))]
    definition = re.search(
        r"define void @layer\((.*?)\)[^(\n]*\{\n(.*?)\n\}", ch7.llvm_ir(graph, value, "layer"), re.S
    )
    body = definition[2]
    uses = [label for i, label in enumerate(labels) if re.search(rf"%{i}\b", body)]
    print(f"{len(labels)} arguments, {len(uses)} of them used:", *uses)


CASES = {case.__name__: case for case in (words, call, used)}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        sys.exit(__doc__)
    CASES[sys.argv[1]]()
