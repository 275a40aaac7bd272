"""One more token of a text: ch.13 computes the text anew, ch.14 has its keys and values.

    .venv/bin/python bench/cache_vs_recompute.py [--rounds 9] [--contexts 64,128,256,512,1023] [--values 512]

The bundled model, float32, one thread. Milliseconds for the logits after one more token, the median over rounds in
which the contestants take turns. First what counting says: the products of ch.13 for T tokens over those of ch.14
for one. --values also measures gpt_forward_decode, the cache made of values, on random weights of the same shape at
that context: once with its compile, then without.
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch13_gpt2
import ch13_weights
import ch14_gpt_optimized as gpt


def milliseconds(call) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def flops(c, rows: int, keys: int) -> int:
    """Multiplications and additions of `rows` tokens through all layers, each over `keys` keys, and one head."""
    layer = 2 * rows * (4 * c.n_embd**2 + 2 * c.n_embd * c.n_inner) + 4 * rows * keys * c.n_embd
    return c.n_layer * layer + 2 * c.n_embd * c.vocab_size


def values(c, context: int) -> None:
    rng = np.random.default_rng(0)

    def draw(*shape):
        return (rng.standard_normal(shape) * 0.05).astype(np.float32)

    d, f = c.n_embd, c.n_inner
    block = [(d, d), (d,)] * 4 + [(f, d), (f,), (d, f), (d,)] + [(d,)] * 4
    weights = [draw(*shape) for _ in range(c.n_layer) for shape in block]
    table, gamma, beta = draw(c.vocab_size, d), draw(d), draw(d)
    past = [draw(c.n_layer, context, d) for _ in range(2)]
    ids = np.array([1], np.int32)

    def decode():
        gpt.gpt_forward_decode(ids, table, weights, gamma, beta, *past, num_heads=c.n_head)

    first = milliseconds(decode)
    again = statistics.median(milliseconds(decode) for _ in range(9))
    print(f"a cache made of values, context {context}: {first:.0f} ms with its compile, then {again:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--contexts", default="64,128,256,512,1023")
    parser.add_argument("--values", type=int, default=512)
    options = parser.parse_args()

    weights = ch13_weights.load_gpt2_weights()
    c = weights.config
    model = gpt.GPT2(weights, cache_dir=False)  # compiled, and not loaded
    print(f"compiling ch.14's step took {model.compile_seconds:.2f} s; tile: {gpt.host_tile()['reason']}")
    print(f"{'context':>8} {'ch.13, ms':>10} {'ch.14, ms':>10} {'ratio':>8} {'by counting':>12}")
    for context in map(int, options.contexts.split(",")):
        ids = np.random.default_rng(context).integers(0, c.vocab_size, context + 1).astype(np.int32)
        ch13_gpt2.next_logits(weights, ids)  # compiled
        model.prefill([ids[:-1]])

        def decode(model=model, token=int(ids[-1])):
            model.decode([token])
            model.cache.lengths[0] -= 1  # back to the context, for the next round

        anew, cached = [], []
        for _ in range(options.rounds):
            anew.append(milliseconds(lambda ids=ids: ch13_gpt2.next_logits(weights, ids)))
            cached.append(milliseconds(decode))
        a, b = statistics.median(anew), statistics.median(cached)
        padded = ch13_gpt2.padded_length(context + 1, c)
        counted = flops(c, padded, padded) / flops(c, 1, context + 1)
        print(f"{context:>8} {a:>10.1f} {b:>10.2f} {a / b:>8.0f} {counted:>12.0f}")
    if options.values:
        values(c, options.values)


if __name__ == "__main__":
    main()
