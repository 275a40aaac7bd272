"""What goes wrong under the engine: a step that raises, NaN, memory that is not there. It lives on, and says so.

The model is the NumPy reference, whose step is exact, except where a test says otherwise.
"""

import contextlib
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters

from ch16_testing import (
    answer_alone,
    engine,
    require_all_back,
    run_all,
)
from nano_engine import SamplingParams


class Faulty:
    """A model that misbehaves at given calls: an exception, or NaN for the sequences that hold a given token."""

    def __init__(self, model, raise_at=None, raises=None, nan_token=None):
        self.model, self.raise_at, self.raises, self.nan_token = model, raise_at, raises, nan_token
        self.calls = 0

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        self.calls += 1
        logits = self.model.step(
            tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache
        )
        if self.calls == self.raise_at:
            raise self.raises
        poisoned = set(sequences[tokens == self.nan_token].tolist())
        for row, t in zip(logits, logit_rows):
            if sequences[t] in poisoned:
                row[5] = np.nan
        return logits


def test_a_step_that_raises_ends_its_requests_only():
    served = engine(
        "reference",
        wrap=lambda m: Faulty(m, raise_at=3, raises=RuntimeError("out of luck")),
        max_batch_size=2,
    )
    asked = [(p, SamplingParams(max_tokens=6)) for p in ((1,), (2,), (3,), (1, 2))]
    first, second, third, fourth = served.generate([p for p, _ in asked], [s for _, s in asked])
    for failed, (prompt, params) in ((first, asked[0]), (second, asked[1])):
        assert failed.finish_reason == "error"
        assert failed.error == "the model's step failed: RuntimeError: out of luck"
        assert failed.output_tokens == answer_alone(prompt, params)[:2]
    assert third.output_tokens == answer_alone(*asked[2]) and fourth.output_tokens == answer_alone(*asked[3])
    assert served.get_stats()["total_requests_failed"] == 2
    require_all_back(served)


def test_ctrl_c_in_a_step_reaches_the_caller_and_leaves_a_working_engine():
    served = engine(
        "reference", wrap=lambda m: Faulty(m, raise_at=2, raises=KeyboardInterrupt()), max_batch_size=2
    )
    with pytest.raises(KeyboardInterrupt):
        served.generate([[1], [2], [3]], SamplingParams(max_tokens=6))
    require_all_back(served)
    params = SamplingParams(max_tokens=6)
    assert served.generate([[1]], params)[0].output_tokens == answer_alone((1,), params)


@pytest.mark.parametrize("failure", [MemoryError("no memory"), KeyboardInterrupt()])
def test_a_failure_while_results_are_read_ends_that_batch_only(failure, monkeypatch):
    """The second of three rows cannot be read: the batch ends, in part with a token, and who waited goes on."""
    served = engine("reference", max_batch_size=3)
    params = SamplingParams(max_tokens=2)
    requests = [served.submit([token], params) for token in (1, 2, 3, 1)]
    accept, calls = served._batcher.decodes.accept, []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise failure
        return accept(*arguments)

    monkeypatch.setattr(served._batcher.decodes, "accept", failing)
    with contextlib.nullcontext() if isinstance(failure, Exception) else pytest.raises(KeyboardInterrupt):
        served.step()
    served.check_integrity()
    assert [(r.finish_reason, len(r.output_tokens)) for r in requests] == [
        ("error", 1),
        ("error", 0),
        ("error", 0),
        (None, 0),
    ]
    run_all(served, requests)
    assert requests[3].output_tokens == answer_alone((1,), params)
    require_all_back(served)


class Failing:
    """Something whose method `name` raises at its n-th call; everything else is passed on."""

    def __init__(self, real, name, at, failure):
        self._real, self._name, self._at, self._failure, self._calls = real, name, at, failure, 0

    def __getattr__(self, name):
        real = getattr(self._real, name)
        if name != self._name:
            return real

        def call(*arguments):
            self._calls += 1
            if self._calls == self._at:
                raise self._failure
            return real(*arguments)

        return call


@pytest.mark.parametrize("at", range(1, 6))
def test_an_allocation_that_fails_ends_one_request(at):
    served = engine("hash", kv_cache_pages=12, max_chunk_size=3)
    served._requests.kv_pool = Failing(served.kv_pool, "allocate", at, MemoryError("no more"))
    prompts = [(1,) * 6, (2,) * 6, (3,) * 6]
    results = served.generate(prompts, SamplingParams(max_tokens=6))
    failed = [r for r in results if r.finish_reason == "error"]
    assert [r.error for r in failed] == ["there are no pages for it: no more"]
    for prompt, request in zip(prompts, results):
        expected = answer_alone(prompt, request.params, "hash")
        assert (
            request.output_tokens == expected[: None if request not in failed else len(request.output_tokens)]
        )
    require_all_back(served)


@pytest.mark.parametrize("name", ["match_prefix", "insert"])
@pytest.mark.parametrize("at", range(1, 5))
def test_a_prefix_cache_that_fails_ends_requests_and_not_the_engine(name, at):
    served = engine("hash", max_chunk_size=5)
    served._radix.cache = Failing(served._radix.cache, name, at, MemoryError("no more"))
    requests = [served.submit([n] * 6, SamplingParams(max_tokens=6)) for n in (1, 2, 1)]
    for _ in range(60):
        with contextlib.suppress(MemoryError):
            served.step()
        served.check_integrity()
    assert all(r.is_finished for r in requests) and any(r.finish_reason == "length" for r in requests)
    (again,) = served.generate([(1,) * 6], SamplingParams(max_tokens=6))
    assert again.output_tokens == answer_alone((1,) * 6, again.params, "hash")
    require_all_back(served)


def test_what_begins_like_a_request_with_nan_is_not_taken_from_the_cache():
    """Its pages may hold NaN: whoever asks the same again has it computed again, and gets an answer."""
    served = engine("hash", wrap=lambda m: Faulty(m, nan_token=9), max_chunk_size=4)
    (bad,) = served.generate([[1, 2, 3, 4, 5, 6, 7, 8, 9]], SamplingParams(max_tokens=3))
    assert bad.finish_reason == "error" and served.get_stats()["num_cached_pages"] == 0
    (good,) = served.generate([[1, 2, 3, 4, 5, 6]], SamplingParams(max_tokens=3))
    assert good.num_cached_tokens == 0 and good.finish_reason == "length"


@pytest.mark.parametrize("kind", ["reference", "compiled"])
def test_nan_ends_one_request_and_no_other(kind):
    """The request that meets token 9 gets NaN logits; its neighbours and its pages' next holders do not notice."""
    params = SamplingParams(max_tokens=6)
    asked = [(1, 2), (1, 9), (3,)]
    served = engine(kind, wrap=lambda m: Faulty(m, nan_token=9), kv_cache_pages=6)
    for _ in range(3):
        good, bad, also_good = served.generate(asked, params)
        assert bad.finish_reason == "error" and bad.output_tokens == []
        assert bad.error == "the logits of position 2 are not finite: their maximum is nan"
        for request, prompt in ((good, asked[0]), (also_good, asked[2])):
            assert request.finish_reason == "length"
            assert request.output_tokens == engine(kind).generate([prompt], params)[0].output_tokens
        served.kv_pool.k_cache[:] = served.kv_pool.v_cache[:] = np.nan  # as such a request would leave it
    require_all_back(served)


def test_a_model_of_the_wrong_shape_is_told_so():
    class Wrong:
        def step(self, *arguments):
            return np.zeros((1, 5), np.float32)

    (request,) = engine("reference", wrap=lambda _: Wrong()).generate([[1]])
    assert request.finish_reason == "error"
    assert "step must return logits of shape (1, 307), got (1, 5)" in request.error


def test_pages_held_by_others_are_an_error_not_a_wait():
    served = engine("reference", kv_cache_pages=4)
    taken = served.kv_pool.allocate(8)
    (request,) = served.generate([[1]], SamplingParams(max_tokens=12))
    assert request.finish_reason == "error" and len(request.output_tokens) == 8
    assert re.search("0 of 4 pages of 4 tokens free.*pages are held outside the engine", request.error)
    served.kv_pool.free(taken)
    assert served.generate([[1]], SamplingParams(max_tokens=12))[0].finish_reason == "length"
    require_all_back(served)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
