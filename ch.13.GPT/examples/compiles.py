"""How many functions a growing text compiles."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # noqa: F401  finds the build tree

import ch13_gpt as gpt

config = gpt.GPT2Config(vocab_size=101, n_layer=6, n_head=3, n_embd=36, n_positions=256)
gpt.generate_ids(gpt.GPT2Weights.random(config), [1, 2, 3], max_tokens=150)
info = gpt.cache_info()
print(f"a text of 3 to 152 tokens: {info.misses} functions compiled, {info.hits} calls of known ones")

gpt.generate_ids(gpt.GPT2Weights.random(config, seed=1), [4], max_tokens=20)
print(f"then another model of the same shape: {gpt.cache_info().misses - info.misses} compiled")
