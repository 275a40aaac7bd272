"""Chapter 12's layers beside PyTorch, one thread, and compile time by depth: `python3 bench/ch12.py`."""

import argparse
import os
import pathlib
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import torch
import torch.nn.functional as F
from timing import medians

import chapters  # noqa: F401  finds the build tree

import ch12_transformer as ch12

D, HIDDEN, HEADS = 768, 3072, 12


def draw(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape, dtype=np.float32) / np.float32(D**0.5)


def block_weights():
    shapes = [(D, D), (D,)] * 4 + [(D,), (D,), (HIDDEN, D), (HIDDEN,), (D, HIDDEN), (D,), (D,), (D,)]
    return [draw(*shape) for shape in shapes]


def torch_block(x, w):
    def heads(i):
        return F.linear(n, w[i], w[i + 1]).reshape(len(x), HEADS, -1).transpose(0, 1)

    n = F.layer_norm(x, (D,), w[8], w[9])
    seen = F.scaled_dot_product_attention(heads(0), heads(2), heads(4)).transpose(0, 1).reshape(x.shape)
    y = x + F.linear(seen, w[6], w[7])
    n = F.layer_norm(y, (D,), w[14], w[15])
    return y + F.linear(F.gelu(F.linear(n, w[10], w[11]), approximate="tanh"), w[12], w[13])


def pairs(T):
    x, w = draw(T, D), block_weights()
    tx, tw = torch.from_numpy(x), [torch.from_numpy(a) for a in w]
    hidden = draw(T, HIDDEN)
    th = torch.from_numpy(hidden)
    return {
        "block": (ch12.transformer_block(x, *w, num_heads=HEADS), lambda: torch_block(tx, tw)),
        "linear 768 -> 3072": (ch12.linear(x, *w[10:12]), lambda: F.linear(tx, *tw[10:12])),
        "layer_norm": (ch12.layer_norm(x, *w[8:10]), lambda: F.layer_norm(tx, (D,), *tw[8:10])),
        "gelu of [T, 3072]": (ch12.gelu(hidden), lambda: F.gelu(th, approximate="tanh")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--layers", type=int, nargs="*", default=[1, 2, 4, 12])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for T in (1, 64, 256):
        for name, (ours, theirs) in pairs(T).items():
            seconds = medians({"ch12": lambda: ch12.forward(ours), "PyTorch": theirs}, arguments.repeats)  # noqa: B023
            ms = {engine: 1e3 * value for engine, value in seconds.items()}
            print(f"T={T:3} {name:20} ch12 {ms['ch12']:8.3f} ms   PyTorch {ms['PyTorch']:8.3f} ms")
    w = block_weights()
    for layers in arguments.layers:
        ch12.clear_cache()
        start = time.process_time()
        ch12.forward(ch12.multi_layer_transformer(draw(8, D), [w] * layers, num_heads=HEADS))
        print(f"{layers:2} layers: compiled and run once in {time.process_time() - start:.2f} s of CPU")


if __name__ == "__main__":
    main()
