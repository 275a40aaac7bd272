"""Tokens per second of ch.14's step on GPT-2 124M's shapes, beside PyTorch in the same process.

    .venv/bin/python bench/gpt2.py [--rounds 7] [--layers 12] [--threads 1]

Random weights of that shape; the same for both. Prefill: one prompt of 512 tokens, logits of the last row.
Decode: one token for each of B sequences after 128 tokens of context. The two take turns, round after round;
what is printed is the median over rounds. Our step runs on one thread, and PyTorch on --threads.
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import torch
import transformers
from tqdm import tqdm

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights

PROMPT, CONTEXT, BATCHES = 512, 128, (1, 8, 32)


class Ours:
    """ch.14's GPT2: a paged cache, one compiled step."""

    def __init__(self, weights: GPT2Weights):
        self.model = gpt.GPT2(weights)

    def prefill(self, ids: np.ndarray) -> np.ndarray:
        return self.model.prefill(list(ids))

    def start(self, ids: np.ndarray) -> None:
        self.model.prefill(list(ids))

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        logits = self.model.decode(tokens)
        for sequence in range(len(tokens)):  # back to the context, for the next round
            self.model.cache.lengths[sequence] -= 1
        return logits


class PyTorch:
    """transformers' GPT2LMHeadModel, eager, float32, with its own KV cache."""

    def __init__(self, weights: GPT2Weights):
        c = weights.config
        config = transformers.GPT2Config(
            vocab_size=c.vocab_size,
            n_layer=c.n_layer,
            n_head=c.n_head,
            n_embd=c.n_embd,
            n_positions=c.n_positions,
        )
        self.model = transformers.GPT2LMHeadModel(config).eval()
        state = {f"transformer.{name}": torch.from_numpy(t) for name, t in weights.tensors.items()}
        state["lm_head.weight"] = state["transformer.wte.weight"]
        self.model.load_state_dict(state, strict=False)

    @torch.inference_mode()
    def prefill(self, ids: np.ndarray) -> np.ndarray:
        out = self.model(torch.from_numpy(ids.astype(np.int64)), logits_to_keep=1, use_cache=True)
        return out.logits[:, -1].numpy()

    @torch.inference_mode()
    def start(self, ids: np.ndarray) -> None:
        self.past = self.model(
            torch.from_numpy(ids.astype(np.int64)), logits_to_keep=1, use_cache=True
        ).past_key_values

    @torch.inference_mode()
    def decode(self, tokens: np.ndarray) -> np.ndarray:
        out = self.model(
            torch.from_numpy(tokens.astype(np.int64))[:, None], past_key_values=self.past, use_cache=True
        )
        self.past.crop(-1)
        return out.logits[:, -1].numpy()


def interleaved(engines: dict, call, rounds: int, bar: tqdm) -> dict[str, float]:
    """Median seconds of call(engine), the engines taking turns; one untimed turn each first."""
    times = {name: [] for name in engines}
    for round_ in range(rounds + 1):
        for name, engine in engines.items():
            start = time.perf_counter()
            call(engine)
            if round_:
                times[name].append(time.perf_counter() - start)
        bar.update()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="timed turns of each engine (default 7)")
    parser.add_argument("--layers", type=int, default=12, help="layers of the model (default 12, GPT-2 124M)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    config = GPT2Config(vocab_size=50257, n_layer=options.layers, n_head=12, n_embd=768, n_positions=1024)
    weights = GPT2Weights.random(config)
    engines = {"ours": Ours(weights), "PyTorch": PyTorch(weights)}
    rng = np.random.default_rng(0)

    rows = []
    with tqdm(total=(1 + len(BATCHES)) * (options.rounds + 1), desc="rounds", file=sys.stderr) as bar:
        ids = rng.integers(0, config.vocab_size, (1, PROMPT)).astype(np.int32)
        ours, theirs = (engine.prefill(ids) for engine in engines.values())
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        seconds = interleaved(engines, lambda engine: engine.prefill(ids), options.rounds, bar)
        rows.append((f"prefill {PROMPT}", PROMPT, seconds, error))
        for batch in BATCHES:
            ids = rng.integers(0, config.vocab_size, (batch, CONTEXT)).astype(np.int32)
            tokens = rng.integers(0, config.vocab_size, batch).astype(np.int32)
            for engine in engines.values():
                engine.start(ids)
            ours, theirs = (engine.decode(tokens) for engine in engines.values())
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            seconds = interleaved(
                engines, lambda engine, tokens=tokens: engine.decode(tokens), options.rounds, bar
            )
            rows.append((f"decode, batch {batch}", batch, seconds, error))

    model = engines["ours"].model
    print(f"GPT-2 of {options.layers} layers, float32; weights {model.weights.num_bytes / 1e6:.0f} MB")
    print(f"compiling the step: {model.compile_seconds:.2f} s; tile: {gpt.host_tile()}")
    print(
        f"| tokens per second | ours, 1 thread | PyTorch, threads: {options.threads} | ratio | relative error |"
    )
    print("|---|---|---|---|---|")
    for name, count, seconds, error in rows:
        ours, theirs = count / seconds["ours"], count / seconds["PyTorch"]
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} | {error:.1e} |")


if __name__ == "__main__":
    main()
