"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

Exercises 1 and 2 change the dialect: ch9-opt is built again and run on the .mlir file, whose CHECK lines say what must
come out. FILE is your solution of exercise 3 (without it, the stub beside this script). Exits with 0 when solved.
"""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch9_tablegen_dialect as ch9


def build() -> None:
    """ch9-opt with the reader's changes."""
    done = subprocess.run(
        ["cmake", "--build", str(chapters.BUILD), "--target", "ch9-opt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=chapters.environment(),
        text=True,
    )
    assert done.returncode == 0, f"ch9-opt does not build:\n{done.stdout}"


def opt(file: pathlib.Path, *passes: str) -> str:
    build()
    done = subprocess.run(
        ["ch9-opt", *passes, str(file)], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def relu_of_softmax(file: pathlib.Path) -> None:
    """1: a folder."""
    chapters.filecheck(opt(file, "--canonicalize"), file.read_text())


def sub(file: pathlib.Path) -> None:
    """2: an op."""
    chapters.filecheck(opt(file, "--canonicalize", "--ch9-to-linalg"), file.read_text())


def two_layers(file: pathlib.Path) -> None:
    """3: an expression."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s, dtype=np.float32) for s in [(4, 6), (5, 6), 5, (5, 3), 3]]
    try:
        y = chapters.run_script(file).two_layers(ch9, *map(ch9.Tensor, arrays))
    except NotImplementedError as missing:
        raise AssertionError(str(missing)) from None
    x, w1, b1, w2, b2 = arrays
    assert np.allclose(y.numpy(), np.maximum(x @ w1.T + b1, 0) @ w2 + b2, atol=1e-5), (
        "the result is another one"
    )
    ir = dict(ch9.stages(y)[:2])["canonicalize"]
    products = ir.count("nn.linear ") + ir.count("nn.matmul ")
    assert products == 2 and "nn.transpose" not in ir, f"after --canonicalize there is\n{ir}"


EXERCISES = {
    "1": (relu_of_softmax, "1_relu_of_softmax.mlir"),
    "2": (sub, "2_sub.mlir"),
    "3": (two_layers, "3_two_layers.py"),
}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__))
