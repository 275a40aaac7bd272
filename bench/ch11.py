"""Chapter 11's attention, product and softmax beside PyTorch and NumPy, one thread: `python3 bench/ch11.py`."""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import torch
from timing import medians

import chapters  # noqa: F401  finds the build tree

import ch11_attention as ch11


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def attention_cases(T, D, heads, causal):
    q = draw(T, D)
    compiled = ch11.attention(q, q, q, heads, causal)
    split = torch.from_numpy(q).reshape(T, heads, -1).transpose(0, 1)
    mask = torch.ones(T, T, dtype=torch.bool).tril() if causal else torch.ones(T, T, dtype=torch.bool)

    def by_steps():  # what this chapter does: all scores at once
        scores = (split @ split.transpose(1, 2)) * (D // heads) ** -0.5
        return (
            (torch.softmax(scores.masked_fill(~mask, -torch.inf), -1) @ split).transpose(0, 1).reshape(T, D)
        )

    return {
        "ch11": lambda: ch11.forward(compiled),
        "PyTorch, step by step": by_steps,
        "PyTorch, fused": lambda: torch.nn.functional.scaled_dot_product_attention(
            split[None], split[None], split[None], is_causal=causal
        ),
        "plain C++ (reference)": lambda: ch11.attention_reference(q, q, q, heads, causal),
    }


def product_cases(n):
    a, b = draw(n, n), draw(n, n)
    compiled = ch11.matmul(a, b)
    return {"ch11": lambda: ch11.forward(compiled), "NumPy": lambda: a @ b}


def softmax_cases(rows, n):
    a = draw(rows, n)
    compiled = ch11.softmax(a)
    t = torch.from_numpy(a)
    return {"ch11": lambda: ch11.forward(compiled), "PyTorch": lambda: torch.softmax(t, -1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    for title, cases in {
        "attention 128x768, 12 heads, causal": attention_cases(128, 768, 12, True),
        "attention 512x768, 12 heads, causal": attention_cases(512, 768, 12, True),
        "product 256x256x256": product_cases(256),
        "product 1024x1024x1024": product_cases(1024),
        "softmax 512x512": softmax_cases(512, 512),
    }.items():
        print(title)
        for name, seconds in medians(cases, repeats).items():
            print(f"  {name:24} {1e3 * seconds:9.3f} ms")
    ch11.clear_cache()
    q = draw(128, 768)
    ch11.forward(ch11.attention(q, q, q, 12, True))
    print(f"compiling one attention: {1e3 * ch11.cache_info().compile_seconds:.0f} ms")


if __name__ == "__main__":
    main()
