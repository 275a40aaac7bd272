"""Prints what becomes of a block: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

The block has 5 tokens of 8 numbers, 2 heads and 32 hidden numbers. With --norm, --linear or --gelu in front it is that
op alone.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch12_transformer as ch12


def zeros(*shape):
    return ch12.Tensor(np.zeros(shape, np.float32))


def block():
    square, vector = zeros(8, 8), zeros(8)
    attention = [square, vector] * 4
    ffn = [zeros(32, 8), zeros(32), zeros(8, 32), vector]
    return ch12.transformer_block(zeros(5, 8), *attention, vector, vector, *ffn, vector, vector, num_heads=2)


EXPRESSIONS = {
    "--block": block,
    "--norm": lambda: ch12.layer_norm(zeros(5, 8), zeros(8), zeros(8)),
    "--linear": lambda: ch12.linear(zeros(5, 8), zeros(16, 8), zeros(16)),
    "--gelu": lambda: ch12.gelu(zeros(5, 8)),
}

if __name__ == "__main__":
    chosen = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in EXPRESSIONS else "--block"
    raise SystemExit(chapters.show(ch12, EXPRESSIONS[chosen]()))
