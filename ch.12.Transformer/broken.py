"""What goes wrong, and what is said then: `python3 broken.py layer | unknown | variance | tanh`."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch12_transformer as ch12

OPS = """
func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.gelu %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
"""


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32)


def layer():
    """A weight of the second layer is stored the other way round."""
    shapes = [(4, 4), (4,)] * 4 + [(4,), (4,), (16, 4), (16,), (4, 16), (4,), (4,), (4,)]
    good = [draw(*shape) for shape in shapes]
    bad = [*good[:10], good[10].T, *good[11:]]
    ch12.multi_layer_transformer(draw(3, 4), [good, bad])


def unknown():
    """ch.12's op in ch.11's tool."""
    command = ["ch11-opt", "-"]
    done = subprocess.run(command, input=OPS, capture_output=True, text=True, env=chapters.environment())
    print(done.stderr.splitlines()[0].replace("<stdin>", "gelu.mlir"))


def variance():
    """The variance as mean(x^2) - mean^2, in float32, for rows around 1000."""
    x = draw(1, 64) + 1000
    quick = (x * x).mean(dtype=np.float32) - x.mean(dtype=np.float32) ** 2
    one, zero = np.ones(64, np.float32), np.zeros(64, np.float32)
    ours = ch12.layer_norm(x, one, zero, epsilon=0.0).numpy()
    exact = x.astype(np.float64).std()
    print(f"exact {exact**2:.4f}, mean(x^2) - mean^2 {quick:.4f}; error of layer_norm", end=" ")
    print(f"{np.abs(ours - (x - x.mean(dtype=np.float64)) / exact).max():.0e}")


def tanh():
    """gelu(-1e6) with a tanh that is off by one rounding near -1, and as this chapter computes it."""
    x = np.float32(-1e6)
    nearly = np.nextafter(np.float32(-1), np.float32(0))  # what a polynomial may give for tanh(-9)
    print(
        f"x (1 + tanh(u)) / 2: {x * (1 + nearly) / 2:.4f}, x / (1 + exp(-2u)): {ch12.gelu(np.array([x])).numpy()[0]}"
    )


if __name__ == "__main__":
    try:
        {"layer": layer, "unknown": unknown, "variance": variance, "tanh": tanh}[sys.argv[1]]()
    except (ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}")
