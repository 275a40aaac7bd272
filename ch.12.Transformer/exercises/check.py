"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution of exercise 1 or 2 (without it, the stub beside this script). Exits with 0 when solved.
"""

import ctypes
import pathlib
import runpy
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch12_transformer as ch12

FOLDER = pathlib.Path(__file__).resolve().parent


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def swiglu(file: pathlib.Path) -> None:
    """1: SwiGLU from the ops there are."""
    solution = runpy.run_path(str(file))
    x, w, v, w2 = draw(3, 4), draw(6, 4, seed=1), draw(6, 4, seed=2), draw(4, 6, seed=3)
    b, c, b2 = draw(6, seed=4), draw(6, seed=5), draw(4, seed=6)
    z = draw(3, 5) * 4
    try:
        gate = solution["silu"](ch12, ch12.Tensor(z)).numpy()
        result = solution["swiglu"](ch12, ch12.Tensor(x), w, b, v, c, w2, b2).numpy()
    except NotImplementedError as missing:
        raise AssertionError(str(missing)) from None
    silu = lambda t: t / (1 + np.exp(-t))  # noqa: E731
    assert np.allclose(gate, silu(z), atol=1e-6), "silu is not x / (1 + exp(-x))"
    expected = (silu(x @ w.T + b) * (x @ v.T + c)) @ w2.T + b2
    assert np.allclose(result, expected, atol=1e-4), "the result is not SwiGLU"


def run(file: pathlib.Path, *arrays: np.ndarray) -> None:
    """Compiles @forward (one memref for each array) with this chapter's tools and calls it."""
    env = chapters.environment()
    with tempfile.TemporaryDirectory() as folder:
        lowered, ir, code, library = (f"{folder}/{name}" for name in ("a.mlir", "a.ll", "a.o", "a.so"))
        for command in (
            ["ch12-opt", "--ch12-pipeline", str(file), "-o", lowered],
            ["mlir-translate", "--mlir-to-llvmir", lowered, "-o", ir],
            ["llc", "-relocation-model=pic", "-filetype=obj", ir, "-o", code],
            ["cc", "-shared", code, "-lm", "-o", library],
        ):
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        forward = ctypes.CDLL(library).forward
    words = []
    for a in arrays:  # a memref: pointer twice, offset, sizes, strides
        words += [ctypes.c_void_p(a.ctypes.data)] * 2
        words += [ctypes.c_int64(n) for n in (0, *a.shape, *(stride // 4 for stride in a.strides))]
    forward(*words)


def rms_norm(file: pathlib.Path) -> None:
    """2: RMS norm in linalg."""
    x, gamma, out = draw(4, 8) * 3, draw(8), np.empty((4, 8), np.float32)
    run(file, x, gamma, out)
    expected = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5) * gamma
    assert np.allclose(out, expected, atol=1e-5), "the result is not the RMS norm"


def relu(_file: pathlib.Path) -> None:
    """3: an op from the .td to Python."""
    file = FOLDER / "3_relu.mlir"
    done = subprocess.run(
        ["ch12-opt", "--ch12-lower", str(file)], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, "ch12-opt knows no transformer.relu yet"
    chapters.filecheck(done.stdout, file.read_text())
    assert hasattr(ch12, "relu"), "ch12 has no function relu yet"
    x = draw(4, 8)
    assert np.array_equal(ch12.relu(x).numpy(), np.maximum(x, 0)), "the result is not max(x, 0)"


EXERCISES = {"1": (swiglu, "1_swiglu.py"), "2": (rms_norm, "2_rms_norm.mlir"), "3": (relu, "3_relu.mlir")}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__))
