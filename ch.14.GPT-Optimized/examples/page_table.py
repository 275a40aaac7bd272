"""What a step is given: a flat batch of three sequences that are in three different states."""

import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights

if __name__ == "__main__":
    model = gpt.GPT2(GPT2Weights.random(GPT2Config(50, 2, 2, 8, 32), seed=0), page_size=4)
    model.prefill([[11, 12, 13, 14, 15], [21, 22]])  # two sequences have a past
    cache = model.cache
    cache.add_sequence()  # the third has none

    tokens = np.array([16, 23, 31, 32, 33, 34, 35, 36], np.int32)
    sequences = np.array([0, 1, 2, 2, 2, 2, 2, 2], np.int32)
    positions = np.concatenate([cache.extend(s, n) for s, n in ((0, 1), (1, 1), (2, 6))])
    slots = np.concatenate([cache.slots(s, positions[sequences == s]) for s in range(3)])
    rows = np.array([0, 1, 7], np.int32)  # the last token of each
    for name, values in (
        ("tokens", tokens),
        ("positions", positions),
        ("sequences", sequences),
        ("slots", slots),
        ("logit_rows", rows),
    ):
        print(f"{name:<11}", *(f"{value:>2}" for value in values))
    print("page_tables", *(f"{s}: {table}" for s, table in enumerate(cache.tables)))

    logits = model.step(tokens, positions, slots, sequences, cache.page_tables(), rows, cache.k, cache.v)
    print("logits     ", logits.shape)
    for row, text in zip(logits, ([11, 12, 13, 14, 15, 16], [21, 22, 23], tokens[2:])):
        alone = gpt.GPT2(model.weights, page_size=4).prefill([text])[0]
        print(f"logits that differ from those of {len(text)} tokens alone:", (row != alone).sum())
