"""Prints what becomes of one attention: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

The expression is attention([3, 8], [5, 8], [5, 8], num_heads=2). With --product in front it is a matrix product
of [4, 8] and [8, 16]; with --softmax a softmax of [4, 8]; with --causal an attention of [5, 8] thrice.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch11_attention as ch11


def zeros(*shape):
    return ch11.Tensor(np.zeros(shape, np.float32))


EXPRESSIONS = {
    "--attention": lambda: ch11.attention(zeros(3, 8), zeros(5, 8), zeros(5, 8), num_heads=2),
    "--causal": lambda: ch11.attention(zeros(5, 8), zeros(5, 8), zeros(5, 8), num_heads=2, causal=True),
    "--product": lambda: zeros(4, 8) @ zeros(8, 16),
    "--softmax": lambda: ch11.softmax(zeros(4, 8)),
}

if __name__ == "__main__":
    chosen = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in EXPRESSIONS else "--attention"
    raise SystemExit(chapters.show(ch11, EXPRESSIONS[chosen]()))
