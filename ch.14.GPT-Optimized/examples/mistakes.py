"""What a caller's mistakes look like."""

import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights

MODEL = gpt.GPT2(GPT2Weights.random(GPT2Config(50, 2, 2, 8, 6), seed=0), page_size=4)


def a_slot_that_is_not_the_tables(m):
    m.prefill([[1, 2, 3, 4, 5]])
    cache, index = m.cache, np.zeros(1, np.int32)
    m.step(index, index + 5, index + 7, index, cache.page_tables(), index, cache.k, cache.v)


def a_token_too_many(m):
    m.prefill([[1, 2, 3, 4, 5, 6]])
    m.decode([7])


def a_cache_that_cannot_be_written(m):
    m.prefill([[1, 2]])
    cache, index = m.cache, np.zeros(1, np.int32)
    halves = cache.k.astype(np.float16)
    m.step(index, index, index, index, cache.page_tables(), index, halves, cache.v)


if __name__ == "__main__":
    for mistake in (a_slot_that_is_not_the_tables, a_token_too_many, a_cache_that_cannot_be_written):
        try:
            mistake(MODEL)
        except (TypeError, ValueError) as error:
            print(f"{type(error).__name__}: {error}")
