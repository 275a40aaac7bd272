"""How much of the prompts a step reads: the budget, how it is divided, and what that means for those who write."""

import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from ch16_testing import CONFIG, HashModel, answer_alone, engine, require_all_back
from nano_engine import NanoServingEngine, Request, SamplingParams
from nano_engine.chunked_prefill import LENGTH, MAX_TOKENS, Budget, split_budget

LONG = dataclasses.replace(CONFIG, n_positions=1024)


def reading(num_tokens, num_computed=0):
    request = Request(0, [1] * num_tokens, SamplingParams(), 0, 1)
    request.num_computed_tokens = num_computed
    return request


def sizes(requests, budget):
    return [chunk.num_tokens for chunk in split_budget(requests, budget)]


@pytest.mark.parametrize(
    "max_chunk_size, num_decodes, num_running, expected",
    [
        (6, 0, 3, Budget(6)),
        (6, 2, 3, Budget(4)),
        (6, 9, 10, Budget(1)),  # one token at least
        (None, 0, 4, Budget(MAX_TOKENS)),  # nobody would have to wait
        (None, 1, 2, Budget(16, LENGTH)),
        (None, 8, 9, Budget(18, LENGTH)),
        (None, 1, 32, Budget(64, LENGTH)),
    ],
)
def test_the_budget_of_a_step(max_chunk_size, num_decodes, num_running, expected):
    assert Budget.of(max_chunk_size, num_decodes, num_running) == expected


def test_the_oldest_prompt_takes_all_it_can():
    assert sizes([reading(5), reading(9), reading(3)], Budget(8)) == [5, 3]
    assert sizes([reading(5), reading(9)], Budget(5)) == [5]
    assert sizes([reading(100)], Budget(8)) == [8]


def test_a_token_far_from_the_beginning_counts_more():
    budget = Budget(18, LENGTH)
    assert sizes([reading(1000)], budget) == [18]
    assert sizes([reading(1000, LENGTH)], budget) == [9]
    assert sizes([reading(LENGTH + 9, LENGTH), reading(100)], Budget(19, LENGTH)) == [9, 1]
    assert sizes([reading(10**6, 10**5)], budget) == [1], "the first prompt comes forward, however far it is"
    assert sizes([reading(10**6, 10**5), reading(5)], budget) == [1]


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 900)), min_size=1, max_size=5),
    st.integers(1, 600),
    st.sampled_from([float("inf"), 1.0, 512.0]),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_chunks_stay_within_the_budget_and_the_first_comes_forward(prompts, num_tokens, length):
    requests = [reading(computed + pending, computed) for pending, computed in prompts]
    chunks = split_budget(requests, Budget(num_tokens, length))
    assert [c.request for c in chunks] == requests[: len(chunks)] and chunks[0].num_tokens >= 1
    work = sum(c.num_tokens * (1 + c.start / length) for c in chunks)
    assert work <= num_tokens + 1e-6 or (len(chunks) == 1 and chunks[0].num_tokens == 1)
    for chunk in chunks[:-1]:
        assert chunk.stop == chunk.request.num_tokens, (
            "a younger prompt is read before an older one is through"
        )


@pytest.mark.parametrize("num_writers", [1, 8, 31])
def test_a_long_prompt_makes_no_long_step_for_those_who_write(num_writers):
    """By default. Rows are counted and not seconds: bench/serving.py --table stalls has the clock."""
    served = NanoServingEngine(
        LONG, None, kv_cache_pages=400, model=HashModel(LONG), enable_prefix_cache=False
    )
    params = SamplingParams(max_tokens=300)
    writers = [served.submit([i + 1], params) for i in range(num_writers)]
    served.step()
    assert all(len(w.output_tokens) == 1 for w in writers), "nobody decoded, so all were read at once"
    prompt = [i % 300 for i in range(900)]
    late = served.submit(prompt, SamplingParams(max_tokens=2))
    num_steps = 0
    while not late.output_tokens:
        before = [len(w.output_tokens) for w in writers]
        chunks = served.step()
        num_steps += 1
        assert sum(c.num_tokens for c in chunks) <= num_writers + max(16, 2 * (num_writers + 1))
        assert [len(w.output_tokens) for w in writers] == [n + 1 for n in before], "all write in every step"
    assert num_steps < 140, "and it does come to its end"
    alone = NanoServingEngine(LONG, None, model=HashModel(LONG), max_chunk_size=1024)
    served.step()
    assert late.output_tokens == alone.generate([prompt], SamplingParams(max_tokens=2))[0].output_tokens


def test_the_default_reads_a_lone_prompt_in_large_chunks():
    served = NanoServingEngine(LONG, None, model=HashModel(LONG))
    served.submit([1] * 900, SamplingParams(max_tokens=3))
    assert [sum(c.num_tokens for c in served.step()) for _ in range(4)] == [512, 388, 1, 1]


def test_answers_by_default_are_those_in_chunks_of_any_size():
    prompts = [[i, *range(i, i + 20)] for i in range(12)]
    params = SamplingParams(max_tokens=6, temperature=1.0, seed=5)
    served = engine("compiled", kv_cache_pages=60)
    requests = [served.submit(prompt, params) for prompt in prompts[:3]]
    while served.step() or len(requests) < len(prompts):  # one more in each step, so prompts meet answers
        if len(requests) < len(prompts):
            requests.append(served.submit(prompts[len(requests)], params))
    for request, prompt in zip(requests, prompts):
        assert request.output_tokens == answer_alone(tuple(prompt), params, "compiled")
    require_all_back(served)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
