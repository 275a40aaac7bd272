"""Prints what becomes of an expression: `python3 show.py EXPRESSION WHAT`.

WHAT is ir, passes, stages [NAME …], llvm_ir or assembly.
EXPRESSION is embedding, mask, masked_softmax, rope, attention (gpt_attention) or gpt2 (one of its blocks).
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch13_gpt as gpt
from ch13_gpt2 import block

T, D, HEADS = 5, 8, 2
X, W, B = np.zeros((T, D), np.float32), np.zeros((D, D), np.float32), np.zeros(D, np.float32)
SMALL = gpt.GPT2Config(vocab_size=101, n_layer=1, n_head=HEADS, n_embd=D, n_positions=T)

EXPRESSIONS = {
    "embedding": lambda: gpt.embedding(np.arange(T, dtype=np.int32), X),
    "mask": lambda: gpt.create_causal_mask(T),
    "masked_softmax": lambda: gpt.masked_softmax(X[:, :T], gpt.create_causal_mask(T)),
    "rope": lambda: gpt.rope(X, num_heads=HEADS),
    "attention": lambda: gpt.gpt_attention(X, W, B, W, B, W, B, W, B, num_heads=HEADS),
    "gpt2": lambda: block(gpt.GPT2Weights.random(SMALL), 0, X),
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in EXPRESSIONS:
        print(__doc__.strip(), file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(chapters.show(gpt, EXPRESSIONS[sys.argv.pop(1)]()))
