"""What a step of GPT-2 124M must do, part by part: one prompt of 512 tokens, one more token of 1 and of 32 texts."""

import chapters  # noqa: F401  finds the build tree

from ch13_weights import GPT2Config
from ch14_counts import Chunk, step_parts, total

CASES = {
    "prefill 512": [Chunk(0, 512)],
    "decode, batch 1": [Chunk(128, 1)],
    "decode, batch 32": [Chunk(128, 1)] * 32,
}

if __name__ == "__main__":
    config = GPT2Config(50257, 12, 12, 768, 1024)
    print(f"{'':<12}", *(f"{name:^26}" for name in CASES), sep="")
    print(f"{'':<12}", *(f"{'MFLOP':>10}{'MB':>8}{'a byte':>8}" for _ in CASES), sep="")
    steps = [step_parts(config, chunks) for chunks in CASES.values()]
    for parts in zip(*([*parts, total(parts)] for parts in steps)):
        numbers = [f"{p.flops / 1e6:>10.1f}{p.num_bytes / 1e6:>8.1f}{p.intensity:>8.1f}" for p in parts]
        print(f"{parts[0].name:<12}", *numbers, sep="")
