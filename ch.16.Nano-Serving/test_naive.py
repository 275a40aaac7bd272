"""The engine writes what its ancestors write."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

import ch16_naive as naive
from ch16_testing import CONFIG, engine, model, random_prompts
from nano_engine import SamplingParams


@pytest.mark.parametrize("kind", ["reference", "compiled"])
def test_all_of_them_write_the_same(kind):
    prompts = random_prompts(5, 12, seed=2)
    nums = [7, 3, 9, 1, 5]
    params = [SamplingParams(max_tokens=num) for num in nums]
    expected = [r.output_tokens for r in engine(kind).generate(prompts, params)]
    step, caches = model(kind, 4), naive.Caches(CONFIG, len(prompts), 4)
    assert naive.static_batch(step, caches, prompts, nums) == expected
    for prompt, num, answer in zip(prompts, nums, expected):
        assert naive.one_at_a_time(step, caches, prompt, num) == answer
        assert naive.recompute(step, caches, prompt, num) == answer


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
