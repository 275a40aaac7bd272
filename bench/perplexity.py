"""What bfloat16 and int8 weights do to the bundled model: perplexity of held-out text, errors of logits.

    .venv/bin/python bench/perplexity.py tinyshakespeare.txt [--windows 16]

The text is the one that models/shakespeare was trained on; its last tenth was held out. Each window of 1024 tokens is
read whole, and every token but the first is predicted from those before it; float32 is the measure of the others.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
from tqdm import tqdm

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt
from ch14_weights import DTYPES


def log_likely(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Nats of each token of ids [1:], from logits [T, V]."""
    logits = logits[:-1].astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits[np.arange(len(ids) - 1), ids[1:]] - np.log(np.exp(logits).sum(axis=1))


def all_logits(model: gpt.GPT2, ids: np.ndarray) -> np.ndarray:
    """The logits [T, V] of one text."""
    c, at = model.config, np.arange(len(ids), dtype=np.int32)
    pages = -(-len(ids) // model.page_size)
    k = gpt.aligned_zeros([c.n_layer, pages, c.n_head, c.head_dim, model.page_size])
    v = gpt.aligned_zeros([c.n_layer, pages, c.n_head, model.page_size, c.head_dim])
    table = np.arange(pages, dtype=np.int32)[None]
    return model.step(ids, at, at, np.zeros_like(at), table, at, k, v)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--windows", type=int, default=16, help="windows of 1024 tokens (default 16)")
    options = parser.parse_args()
    text = options.text.read_text()
    text = text[len(text) * 9 // 10 :]

    models = {dtype: gpt.GPT2(gpt.load_gpt2_weights(dtype=dtype)) for dtype in DTYPES}
    ids = np.array(models["float32"].weights.tokenizer.encode(text).ids, np.int32)
    windows = [ids[i : i + 1024] for i in range(0, len(ids) - 1023, 1024)][: options.windows]
    nats = {dtype: [] for dtype in DTYPES}
    errors = dict.fromkeys(DTYPES, 0.0)
    agree = dict.fromkeys(DTYPES, 0)
    for window in tqdm(windows, desc="windows", file=sys.stderr):
        logits = {dtype: all_logits(model, window) for dtype, model in models.items()}
        exact = logits["float32"]
        for dtype in DTYPES:
            nats[dtype].append(-log_likely(logits[dtype], window))
            errors[dtype] = max(
                errors[dtype], float(np.abs(logits[dtype] - exact).max() / np.abs(exact).max())
            )
            agree[dtype] += int((logits[dtype].argmax(1) == exact.argmax(1)).sum())
    count = len(windows) * 1024
    print(f"{count} tokens held out")
    print("| dtype | MB | perplexity | greatest error of a logit | likeliest token is float32's |")
    print("|---|---|---|---|---|")
    for dtype in DTYPES:
        size = models[dtype].weights.num_bytes / 1e6
        perplexity = np.exp(np.concatenate(nats[dtype]).mean())
        print(
            f"| {dtype} | {size:.1f} | {perplexity:.3f} | {errors[dtype]:.1e} | {agree[dtype] / count:.2%} |"
        )


if __name__ == "__main__":
    main()
