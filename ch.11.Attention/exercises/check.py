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

import ch11_attention as ch11

FOLDER = pathlib.Path(__file__).resolve().parent


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def attention(file: pathlib.Path) -> None:
    """1: attention from smaller ops."""
    solution = runpy.run_path(str(file))["attention"]
    q, k, v = (ch11.Tensor(draw(n, 6, seed=n)) for n in (4, 5, 5))
    try:
        y = solution(ch11, q, k, v)
    except NotImplementedError as missing:
        raise AssertionError(str(missing)) from None
    assert "transformer.attention" not in ch11.ir(y), "a.attention is not allowed here"
    expected = ch11.attention_reference(q.numpy(), k.numpy(), v.numpy())
    assert np.allclose(y.numpy(), expected, atol=1e-6), "the result is not attention"


def run(file: pathlib.Path, scores: np.ndarray) -> np.ndarray:
    """Compiles @forward(tensor [T, S], memref [T, S]) with this chapter's tools and calls it."""
    env = chapters.environment()
    with tempfile.TemporaryDirectory() as folder:
        lowered, ir, code, library = (f"{folder}/{name}" for name in ("a.mlir", "a.ll", "a.o", "a.so"))
        for command in (
            ["ch11-opt", "--ch11-pipeline", str(file), "-o", lowered],
            ["mlir-translate", "--mlir-to-llvmir", lowered, "-o", ir],
            ["llc", "-relocation-model=pic", "-filetype=obj", ir, "-o", code],
            ["cc", "-shared", code, "-o", library],
        ):
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        forward = ctypes.CDLL(library).forward
    out = np.empty_like(scores)

    def words(a):  # a memref: pointer twice, offset, sizes, strides
        sizes = [ctypes.c_int64(n) for n in (0, *a.shape, a.shape[1], 1)]
        return [ctypes.c_void_p(a.ctypes.data), ctypes.c_void_p(a.ctypes.data), *sizes]

    forward(*words(scores), *words(out))
    return out


def window(file: pathlib.Path) -> None:
    """2: a mask with a window of three keys."""
    scores = draw(6, 6)
    distance = np.arange(6)[:, None] - np.arange(6)
    seen = (distance >= 0) & (distance <= 2)
    weights = np.where(seen, np.exp(scores), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    result = run(file, scores)
    assert (result[~seen] == 0).all(), "a key outside of the window has a weight"
    assert np.allclose(result, weights, atol=1e-6), "the weights inside of the window are wrong"


def fold(_file: pathlib.Path) -> None:
    """3: one scale of two, in C++."""
    file = FOLDER / "3_fold.mlir"
    command = ["ch11-opt", "--canonicalize", str(file)]
    done = subprocess.run(command, env=chapters.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "by 1.500000e+00" in done.stdout, "two scales in a row are still two"
    chapters.filecheck(done.stdout, file.read_text())


EXERCISES = {"1": (attention, "1_attention.py"), "2": (window, "2_window.mlir"), "3": (fold, "3_fold.mlir")}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__))
