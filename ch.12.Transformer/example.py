"""A transformer of three layers: `python3 example.py`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch12_transformer as ch12

rng = np.random.default_rng(0)


def block_weights(D, hidden):
    """Random arrays for one block, in the order of transformer_block."""
    shapes = [(D, D), (D,)] * 4 + [(D,), (D,), (hidden, D), (hidden,), (D, hidden), (D,), (D,), (D,)]
    return [rng.standard_normal(shape, dtype=np.float32) / np.float32(D**0.5) for shape in shapes]


# [example]
x = rng.standard_normal((10, 48), dtype=np.float32)  # ten tokens
layers = [block_weights(48, 192) for _ in range(3)]

y = ch12.multi_layer_transformer(x, layers, num_heads=4)
print(y.shape, "from", y)

result = y.numpy()
ops = ch12.ir(y).count("= transformer.")
kernels = dict(ch12.stages(y))["ch11-outline-kernels"].count("func.func private @kernel")
print(f"{ops} ops, {kernels} kernels")
# [/example]
