"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import runpy
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch8_custom_dialect as ch8
from lowering import OPS, MLIRLowering

rng = np.random.default_rng(3)


def draw(*shape):
    return rng.standard_normal(shape, dtype=np.float32)


def run(file: pathlib.Path, nn_text: str, arrays: list, shape: tuple) -> tuple[np.ndarray, str]:
    """The result of nn text, lowered with the solution's operations, and its MLIR text."""
    own = runpy.run_path(str(file))["OPS"]
    for op in {line.split()[2] for line in nn_text.splitlines()} - {"nn.variable"} - OPS.keys():
        assert op in own, f"OPS has no {op}"
    text = MLIRLowering(OPS | own).lower_text(nn_text, "f")
    return ch8.execute(text, "f", arrays, shape), text


def refuses(file: pathlib.Path, nn_text: str) -> bool:
    try:
        MLIRLowering(OPS | runpy.run_path(str(file))["OPS"]).lower_text(nn_text, "f")
    except ValueError:
        return True
    return False


def sub_neg(file: pathlib.Path) -> None:
    """1: nn.sub and nn.neg."""
    text = """%0 = nn.variable : tensor<4x3xf32>
%1 = nn.variable : tensor<3xf32>
%2 = nn.sub %0, %1 : (tensor<4x3xf32>, tensor<3xf32>) -> tensor<4x3xf32>
%3 = nn.neg %2 : (tensor<4x3xf32>) -> tensor<4x3xf32>
"""
    a, b = draw(4, 3), draw(3)
    result, _ = run(file, text, [a, b], (4, 3))
    assert np.array_equal(result, -(a - b)), "the result is not -(a - b)"
    wrong = text.replace("tensor<3xf32>", "tensor<2xf32>")
    assert refuses(file, wrong), "a row of 2 is accepted for rows of 3"


def linear(file: pathlib.Path) -> None:
    """2: nn.linear without an addition."""
    text = """%0 = nn.variable : tensor<4x3xf32>
%1 = nn.variable : tensor<3x5xf32>
%2 = nn.variable : tensor<5xf32>
%3 = nn.linear %0, %1, %2 : (tensor<4x3xf32>, tensor<3x5xf32>, tensor<5xf32>) -> tensor<4x5xf32>
"""
    x, w, b = draw(4, 3), draw(3, 5), draw(5)
    result, mlir_text = run(file, text, [x, w, b], (4, 5))
    assert np.allclose(result, x @ w + b, atol=1e-5), "the result is not x @ w + b"
    buffers = dict(ch8.stages(mlir_text))["buffer-results-to-out-params"]
    ops = [line for line in buffers.splitlines() if " linalg." in line and "yield" not in line]
    assert len(ops) <= 2, f"{len(ops)} operations pass over the result, two would do"
    assert "memref.alloc" not in buffers, "there is a buffer besides the result"
    assert refuses(file, text.replace("tensor<5xf32>", "tensor<4xf32>")), (
        "a bias of 4 is accepted for 5 columns"
    )


def saxpy(file: pathlib.Path) -> None:
    """3: @saxpy with a number and strides."""
    text = file.read_text()
    try:
        words = ch8.signature(text, "saxpy")
    except ValueError as missing:
        raise AssertionError(str(missing)) from None
    assert words[:1] == [("%0", "f64")], "the first argument is not a number of f64"
    assert text.count("strided<[?], offset: ?>") >= 2, "x and y have no strides of their own"
    memory = draw(3, 40)
    for x, y in (
        (memory[0], memory[1]),
        (memory[:, 3], memory[:, 7]),
        (memory[2, ::3], memory[1, :14]),
        ([], []),
    ):
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        exact = (1e-3 * x.astype(np.float64) + y).astype(np.float32)
        result = ch8.execute(text, "saxpy", [1e-3, x, y], x.shape)
        assert np.array_equal(result, exact), f"the result is wrong for strides {x.strides} and {y.strides}"


EXERCISES = {"1": (sub_neg, "1_sub_neg.py"), "2": (linear, "2_linear.py"), "3": (saxpy, "3_saxpy.mlir")}

if __name__ == "__main__":
    raise SystemExit(
        chapters.check_exercise(EXERCISES, __doc__, unsolved=(AssertionError, ch8.CompileError, ValueError))
    )
