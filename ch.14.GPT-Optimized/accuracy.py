"""How far the step's exp, tanh and GELU are from the true values, for every float32 that can come.

    python accuracy.py [--stride 1]

exp over [-inf, 0], which is what an online softmax asks for; tanh over all numbers; GELU over [-16, 16], beyond which
it is v or 0. --stride 1009 looks at every 1009th number, which takes seconds and not minutes. The three functions are
compiled from ch.14's own passes and kernels. The true values are float64's; where an error is greatest, mpmath
computes it again in 60 digits.

An ulp is the distance between neighbours among the float32 numbers, there where the true value lies.
"""

import argparse
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from tqdm import tqdm

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as ch14
import ch14_text

CHUNK = 1 << 19
INFINITY = float("inf")

# [ranges]
RANGES = [
    ("exp", -87.3, 0),
    ("exp", -INFINITY, -87.3),
    ("tanh", 0, INFINITY),
    ("tanh", -INFINITY, 0),
    ("gelu", 0, 16),
    ("gelu", -1, 0),
    ("gelu", -16, -1),
]
# [/ranges]


def ours(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The step's exp, tanh or gelu: of float32 arrays whose size is a multiple of a panel."""
    if name == "gelu":
        n = ch14.host_tile()["panel"]
        call, identity = ch14_text.compiled(ch14_text.gelu()), np.eye(n, dtype=np.float32)[None]
        return lambda x: call([x.reshape(-1, n), identity], (x.size // n, n)).reshape(-1)
    call = ch14_text.compiled(ch14_text.elementwise(f"math.{name}"))
    return lambda x: call([x], x.shape)


# [true]
def true_value(name: str, x, exp=np.exp, tanh=np.tanh, pi=np.pi):
    """In the precision of x. GELU is written as x / (1 + exp(-2 u)): the same function, and nothing cancels."""
    if name == "exp":
        return exp(x)
    if name == "tanh":
        return tanh(x)
    return x / (1 + exp(-2 * (2 / pi) ** 0.5 * (x + 0.044715 * x**3)))


# [/true]


def floats(low: float, high: float, stride: int) -> Iterator[np.ndarray]:
    """Every stride-th float32 of a range on one side of 0, from 0 outwards and with both ends, in arrays of CHUNK."""
    near, far = sorted((low, high), key=abs)
    first, last = (int(np.abs(np.float32(end)).view(np.uint32)) for end in (near, far))
    sign = np.uint32(0x80000000 if min(low, high) < 0 else 0)
    for begin in range(first, last + 1, CHUNK * stride):
        bits = begin + stride * np.arange(CHUNK)
        yield (np.minimum(bits, last).astype(np.uint32) | sign).view(np.float32)


class Worst(NamedTuple):
    """The greatest errors over a range, and where they are."""

    ulp: float
    ulp_at: float
    absolute: float
    absolute_at: float


# [worst]
def worst(name: str, low: float, high: float, stride: int = 1) -> Worst:
    """The greatest error of the step's `name` over [low, high], a range on one side of 0; NaN if there is one."""
    call, found = ours(name), Worst(0, 0, 0, 0)
    chunks = floats(low, high, stride)
    for x in tqdm(chunks, desc=f"{name} {low:g} to {high:g}", unit="chunk", disable=None, leave=False):
        with np.errstate(over="ignore", under="ignore"):
            true = true_value(name, x.astype(np.float64))
        error = np.abs(call(x) - true)
        _, exponent = np.frexp(true)
        ulp = error / np.ldexp(1.0, np.maximum(exponent - 24, -149))
        i, j = ulp.argmax(), error.argmax()  # of a NaN, if there is one
        if not ulp[i] <= found.ulp:
            found = found._replace(ulp=float(ulp[i]), ulp_at=float(x[i]))
        if not error[j] <= found.absolute:
            found = found._replace(absolute=float(error[j]), absolute_at=float(x[j]))
    return found


# [/worst]


def in_many_digits(name: str, x: float) -> float:
    """The error at x in ulp, computed by mpmath."""
    import mpmath

    with mpmath.workdps(60):
        true = true_value(name, mpmath.mpf(x), mpmath.exp, mpmath.tanh, mpmath.pi)
        n = ch14.host_tile()["panel"]
        got = ours(name)(np.full(n, x, np.float32))[0]
        exponent = max(mpmath.frexp(true)[1] - 24, -149)
        return float(abs(mpmath.mpf(float(got)) - true) / mpmath.mpf(2) ** exponent)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stride", type=int, default=1, help="look at every stride-th number (1)")
    options = parser.parse_args()
    if options.stride < 1:
        parser.error(f"--stride: expected 1 or more, got {options.stride}")
    print(f"{'':<6}{'range':<18}{'ulp':>10}{'at':>14}{'by mpmath':>12}{'absolute':>12}{'at':>14}")
    for name, low, high in RANGES:
        w = worst(name, low, high, options.stride)
        print(
            f"{name:<6}{f'{low:g} to {high:g}':<18}{w.ulp:>10.4g}{w.ulp_at:>14.7g}"
            f"{in_many_digits(name, w.ulp_at):>12.4g}{w.absolute:>12.2e}{w.absolute_at:>14.7g}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
