"""What a token costs when everything is computed anew: time per token against the length of the text.

    python3 bench/recompute.py                     the bundled model
    python3 bench/recompute.py --model gpt2-124m   random weights of GPT-2's shape, text up to --max-length
    python3 bench/recompute.py --model DIR_OR_ID

Beside it PyTorch (transformers, float32, one thread, no cache), which computes the same without padding. The
two take turns in one run; figures are medians of CPU time, so that other work of the machine counts little.
Structures are compiled before anything is timed.
"""

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch13_gpt as gpt
from ch13_gpt2 import padded_length

SHAPES = {
    "gpt2-124m": gpt.GPT2Config(vocab_size=50257, n_layer=12, n_head=12, n_embd=768, n_positions=1024),
}


def load(model: str | None) -> gpt.GPT2Weights:
    if model in SHAPES:
        return gpt.GPT2Weights.random(SHAPES[model])
    return gpt.load_gpt2_weights(model)


def matmul_flops(config: gpt.GPT2Config, rows: int) -> float:
    """Products and sums of next_logits at `rows` positions: the blocks for all rows, the head for one."""
    d, inner = config.n_embd, config.n_inner
    block = 2 * rows * d * (4 * d + 2 * inner) + 4 * rows * rows * d
    return config.n_layer * block + 2 * d * config.vocab_size


def as_transformers(weights: gpt.GPT2Weights):
    import torch
    import transformers

    torch.set_num_threads(1)
    c = weights.config
    names = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions", "n_inner", "layer_norm_epsilon")
    shape = {name: getattr(c, name) for name in names}
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(**shape, bos_token_id=None, eos_token_id=None)
    )
    state = {"transformer." + name: torch.from_numpy(t) for name, t in weights.tensors.items()}
    model.load_state_dict(state, strict=False)  # lm_head is tied

    def next_logits(ids: np.ndarray):
        with torch.no_grad():
            tensor = torch.from_numpy(ids.astype(np.int64))[None]
            return model.eval()(tensor, use_cache=False, logits_to_keep=1).logits[0, -1].numpy()

    return next_logits


def cpu_seconds(function, *args) -> float:
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", help="gpt2-124m, a folder or a Hugging Face id (default: the bundled model)"
    )
    parser.add_argument("--max-length", type=int, help="longest text (default: the model's positions)")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()

    weights = load(args.model)
    config = weights.config
    theirs = as_transformers(weights)
    longest = min(args.max_length or config.n_positions, config.n_positions)
    ids = np.random.default_rng(0).integers(0, config.vocab_size, longest).astype(np.int32)

    lengths = [n for n in (1, 64, 65, 128, 192, 256, 384, 512, 768, 1024) if n <= longest]
    print(f"{config}\n")
    print(
        f"{'length':>6} {'rows':>5} {'MFLOP':>8} {'compile s':>10} {'ms':>8} {'GFLOP/s':>8} {'PyTorch ms':>11}"
    )
    for length in lengths:
        compiled_before = gpt.cache_info().compile_seconds
        ours = gpt.next_logits(weights, ids[:length])
        compiled = gpt.cache_info().compile_seconds - compiled_before
        expected = theirs(ids[:length])
        error = np.abs(ours - expected).max() / np.abs(expected).max()
        if not error <= 2e-5:
            print(f"wrong logits at length {length}: relative error {error:.1e}")
            return 1
        times = [
            (cpu_seconds(gpt.next_logits, weights, ids[:length]), cpu_seconds(theirs, ids[:length]))
            for _ in range(args.repeats)
        ]
        mine, their = (statistics.median(t) for t in zip(*times))
        rows = padded_length(length, config)
        mflop = matmul_flops(config, rows) / 1e6
        print(
            f"{length:>6} {rows:>5} {mflop:>8.0f} {compiled:>10.2f} {mine * 1e3:>8.1f} {mflop / mine / 1e3:>8.1f}"
            f" {their * 1e3:>11.1f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
