"""What the chapter's tests share: rows of scores, their softmax in float64, the kernels, each lowering's passes."""

import pathlib
import subprocess

import numpy as np

import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent
LOWERINGS = ["polynomial", "llvm", "libm"]
KERNELS = ["softmax", "scalar_softmax", "naive_softmax", "exp"]
LANES = 16
TAIL = [
    "convert-scf-to-cf",
    "convert-vector-to-llvm",
    "finalize-memref-to-llvm",
    "convert-arith-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]
PASSES = {
    "polynomial": ["ch6-approximate-math", "convert-math-to-llvm", "convert-math-to-libm", *TAIL],
    "llvm": ["convert-math-to-llvm", "convert-math-to-libm", *TAIL],
    "libm": ["convert-math-to-libm", "convert-math-to-llvm", *TAIL],
}
ULP = {"polynomial": 1.05, "llvm": 0.51, "libm": 0.51}  # of exp at x <= 0, which is all that softmax asks for
TINY = 2.0**-126  # the smallest normal float32


def scores(*shape, seed=0, scale=5.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def exact(x):
    """softmax in float64."""
    x = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
        return e / e.sum(axis=-1, keepdims=True)


def bits(y):
    """The bytes of y, with one NaN for all (which of them comes out is not said)."""
    return np.where(np.isnan(y), np.float32(np.nan), y).tobytes()


INF, NAN = np.inf, np.nan
GOOD = scores(3, 20)


def mlir_opt(ir, *options):
    command = [str(chapters.llvm_prefix() / "bin" / "mlir-opt"), *options]
    done = subprocess.run(command, input=ir, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
