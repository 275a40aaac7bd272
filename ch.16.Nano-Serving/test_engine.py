"""The engine over time: schedules, aborts, streams, faults, threads, memory.

The model is the NumPy reference, whose step is exact, except where a test says otherwise.
"""

import contextlib
import functools
import gc
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from ch16_testing import (
    CONFIG,
    TEXT,
    engine,
    model,
    needs_plain_memory,
    random_prompts,
    require_all_back,
    rss_bytes,
    run_all,
    tokenizer,
)
from nano_engine import QueueFull, RequestState, SamplingParams
from nano_engine.fair_lock import FairLock
from nano_engine.sampling import sample

# Schedules


@functools.cache
def answer_alone(prompt: tuple[int, ...], params: SamplingParams) -> list[int]:
    """The oracle: the same request in an engine of its own, its prompt read at once."""
    (request,) = engine("reference", max_chunk_size=CONFIG.n_positions).generate([prompt], params)
    return request.output_tokens


@st.composite
def requests(draw):
    prompt = draw(st.lists(st.integers(0, 3), min_size=1, max_size=9))
    return tuple(prompt), SamplingParams(
        max_tokens=draw(st.integers(1, 7)),
        temperature=draw(st.sampled_from([0.0, 1.0])),
        seed=draw(st.integers(0, 3)),
        stop_token_ids=draw(st.sampled_from([(), tuple(range(0, CONFIG.vocab_size, 5))])),
    )


@given(
    asked=st.lists(st.tuples(st.integers(0, 12), requests(), st.none() | st.integers(0, 25)), max_size=8),
    page_size=st.sampled_from([1, 2, 5]),
    num_slots=st.integers(15, 60),
    max_chunk_size=st.integers(1, 12),
    max_batch_size=st.integers(1, 5),
)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_schedule_gives_the_answers_of_one_at_a_time(
    asked, page_size, num_slots, max_chunk_size, max_batch_size
):
    """Requests arrive at any step and some are aborted at any step, with little memory and small chunks."""
    served = engine(
        "reference",
        page_size,
        kv_cache_pages=-(-num_slots // page_size),
        max_chunk_size=max_chunk_size,
        max_batch_size=max_batch_size,
    )
    submitted = {}
    admitted = []
    for step in range(400):
        for i, (arrival, (prompt, params), _) in enumerate(asked):
            if arrival == step:
                submitted[i] = served.submit(prompt, params)
        for i, (_, _, abort_step) in enumerate(asked):
            if abort_step == step and i in submitted:
                was_finished = submitted[i].is_finished
                assert served.abort(submitted[i].id) != was_finished

        decoding = [r for r in submitted.values() if r.state is RequestState.DECODE]
        chunks = served.step()
        served.check_integrity()
        assert sum(chunk.num_tokens for chunk in chunks) <= max(max_chunk_size, max_batch_size)
        assert len(chunks) <= max_batch_size
        assert [c.request for c in chunks[: len(decoding)]] == sorted(
            decoding, key=lambda r: admitted.index(r.id)
        )
        admitted += [chunk.request.id for chunk in chunks if chunk.start == 0]
        if step > 25 and not chunks:
            break

    assert len(submitted) == len(asked) and all(request.is_finished for request in submitted.values())
    assert admitted == sorted(admitted), "somebody overtook"
    for i, request in submitted.items():
        expected = answer_alone(*asked[i][1])
        if request.finish_reason == "abort":
            assert request.output_tokens == expected[: len(request.output_tokens)]
        else:
            assert request.output_tokens == expected
            assert request.finish_reason == (
                "stop" if len(expected) < request.max_new_tokens else "length"
            ) or (expected[-1] in request.params.stop_token_ids)
    require_all_back(served)


def test_three_requests_on_six_pages_in_every_order():
    """All arrival steps 0 to 3 of three requests that need 2, 4 and 6 of 6 pages."""
    asked = [((1, 2), 3), ((3, 1, 2, 3), 5), ((2, 2, 3, 1, 0, 1), 7)]
    params = [SamplingParams(max_tokens=n) for _, n in asked]
    expected = [answer_alone(prompt, param) for (prompt, _), param in zip(asked, params)]
    for arrivals in np.ndindex(4, 4, 4):
        served = engine("reference", 2, kv_cache_pages=6, max_chunk_size=3)
        submitted = {}
        for step in range(4):
            for i in range(3):
                if arrivals[i] == step:
                    submitted[i] = served.submit(asked[i][0], params[i])
            served.step()
            served.check_integrity()
        run_all(served, list(submitted.values()), max_steps=40)
        assert [submitted[i].output_tokens for i in range(3)] == expected
        require_all_back(served)


def test_a_long_prompt_does_not_stall_the_others():
    """While 30 tokens are read in chunks, the request that decodes gets its token in every step."""
    served = engine("reference", max_chunk_size=5)
    first = served.submit([1, 2], SamplingParams(max_tokens=20))
    served.step()
    long = served.submit([3] * 30, SamplingParams(max_tokens=1))
    steps = [[(c.request.id, c.start, c.stop) for c in served.step()] for _ in range(8)]
    assert [step[0] for step in steps] == [(first.id, 2 + i, 3 + i) for i in range(8)]
    assert [step[1] for step in steps] == [(long.id, 4 * i, min(4 * i + 4, 30)) for i in range(8)]
    assert long.finish_reason == "length"


def test_decodes_leave_a_token_for_a_prompt():
    """With a budget of one token a step, a new prompt does not wait for the answers before it to end."""
    served = engine("reference", max_chunk_size=1)
    long = served.submit([1], SamplingParams(max_tokens=30))
    served.step()
    short = served.submit([2, 3], SamplingParams(max_tokens=1))
    for _ in range(2):
        assert [chunk.num_tokens for chunk in served.step()] == [1, 1]
    assert short.is_finished and not long.is_finished


def test_pages_are_taken_for_the_worst_case_and_given_back():
    served = engine("reference", kv_cache_pages=6)  # 24 slots
    a = served.submit([1] * 5, SamplingParams(max_tokens=8))  # 12 slots: 3 pages
    b = served.submit([2] * 5, SamplingParams(max_tokens=9))  # 13 slots: 4 pages
    c = served.submit([3], SamplingParams(max_tokens=1))  # would fit, and waits its turn
    served.step()
    assert (a.state, b.state, c.state) == (RequestState.DECODE, RequestState.WAITING, RequestState.WAITING)
    assert len(a.page_table) == 3 and served.get_stats()["num_free_pages"] == 3
    run_all(served, [a, b, c])
    require_all_back(served)


# Aborts and streams


def test_abort_in_every_state():
    served = engine("reference", max_chunk_size=2, max_batch_size=2)
    decoding = served.submit([1], SamplingParams(max_tokens=30))
    prefilling = served.submit([2] * 20, SamplingParams(max_tokens=9))
    waiting = served.submit([3], SamplingParams(max_tokens=9))
    served.step()
    assert [r.state.value for r in (decoding, prefilling, waiting)] == ["decode", "prefill", "waiting"]
    for request in (waiting, prefilling, decoding):
        assert served.abort(request.id)
        assert request.finish_reason == "abort" and request.is_finished and request.page_table == []
        assert not served.abort(request.id), "it ends once"
        served.check_integrity()
    assert decoding.output_tokens and served.step() == []
    assert not served.abort(10**30)
    assert served.get_stats()["total_requests_aborted"] == 3
    require_all_back(served)


def test_a_stream_is_the_answer_in_pieces():
    served = engine("reference")
    params = SamplingParams(max_tokens=30, temperature=1.0, seed=4)
    (expected,) = served.generate(["To be"], params)
    stream = served.stream("To be", params)
    pieces = list(stream)
    assert stream.request.output_tokens == expected.output_tokens
    assert "".join(pieces) == stream.request.output_text == expected.output_text
    assert len(pieces) > 10 and "" not in pieces and stream.request.finish_reason == "length"
    assert list(served.stream_tokens("To be", params)) == expected.output_tokens
    with pytest.raises(ValueError, match="prompt is empty"):
        served.stream("")
    require_all_back(served)


class Parrot:
    """A model that writes a given text after any one-token prompt, to see multi-byte characters come out whole."""

    def __init__(self, tokens):
        self.tokens = tokens

    def step(self, tokens, positions, slots, sequences, page_tables, logit_rows, k_cache, v_cache):
        logits = np.zeros((len(logit_rows), CONFIG.vocab_size), np.float32)
        for row, t in zip(logits, logit_rows):
            row[self.tokens[positions[t]]] = 1
        return logits


def test_a_stream_gives_whole_characters():
    text = "生きる🙂é"
    tokens = [tokenizer().token_to_id(c) for c in byte_characters(text)]
    assert len(tokens) == len(text.encode()) > len(text)
    served = engine("reference", wrap=lambda _: Parrot(tokens))
    assert list(served.stream([0], SamplingParams(max_tokens=len(tokens)))) == list(text)
    assert list(served.stream([0], SamplingParams(max_tokens=4))) == ["生", "\ufffd"]
    # The token that stops an answer is not part of its text, streamed or not.
    params = SamplingParams(max_tokens=len(tokens), stop_token_ids=[tokens[9]])
    assert "".join(served.stream([0], params)) == served.generate([[0]], params)[0].output_text == "生きる"


def byte_characters(text):
    from nano_engine.detokenizer import byte_alphabet

    character = {byte: character for character, byte in byte_alphabet().items()}
    return [character[byte] for byte in text.encode()]


def test_a_stream_that_is_left_gives_its_pages_back():
    served = engine("reference")
    with served.stream("To be", SamplingParams(max_tokens=30)) as stream:
        next(stream)
    assert stream.request.finish_reason == "abort"
    require_all_back(served)
    list(stream)  # what was written before can still be read
    assert stream.request.output_text == tokenizer().decode(stream.request.output_tokens)

    dropped = served.stream("To be", SamplingParams(max_tokens=30))
    next(dropped)
    request = dropped.request
    del dropped
    gc.collect()
    assert served.step() == [] and request.finish_reason == "abort"
    require_all_back(served)


def test_streams_share_steps():
    served = engine("reference")
    streams = [served.stream_tokens([i], SamplingParams(max_tokens=5)) for i in range(4)]
    answers = list(zip(*streams))
    assert len(answers) == 5 and served.get_stats()["num_steps"] == 5


# Faults


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
    calls = []

    def failing(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise failure
        return sample(*arguments, **named)

    monkeypatch.setattr("nano_engine.continuous_batcher.sample", failing)
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
    with pytest.raises(
        RuntimeError, match="2 of 4 pages of 4 tokens free.*pages are held outside the engine"
    ):
        served.generate([[1]], SamplingParams(max_tokens=12))
    served.kv_pool.free(taken)
    assert served.generate([[1]], SamplingParams(max_tokens=12))[0].finish_reason == "length"
    require_all_back(served)


# Threads and memory


def test_threads_share_one_engine():
    """Callers with long and short answers, streams and aborts at once: each gets the answer it would get alone."""
    served = engine("reference", kv_cache_pages=40, max_batch_size=4, max_chunk_size=6)
    failures = []

    def call(seed):
        rng = np.random.default_rng(seed)
        try:
            for prompt in random_prompts(6, 10, seed):
                params = SamplingParams(max_tokens=int(rng.integers(1, 12)), temperature=1.0, seed=seed)
                kind = rng.integers(3)
                if kind == 0:
                    output = served.generate([prompt], params)[0].output_tokens
                elif kind == 1:
                    output = list(served.stream_tokens(prompt, params))
                else:
                    request = served.submit(prompt, params)
                    served.abort(request.id)
                    continue
                assert output == answer_alone(tuple(prompt), params)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    require_all_back(served)


def test_a_short_answer_does_not_wait_for_a_long_one_of_another_thread():
    served = engine("reference", page_size=4)
    order = []

    def call(name, num_tokens):
        served.generate([[1]], SamplingParams(max_tokens=num_tokens))
        order.append(name)

    long = threading.Thread(target=call, args=("long", 40))
    long.start()
    call("short", 2)
    long.join()
    assert order == ["short", "long"]


def test_the_lock_goes_to_who_waits_longest():
    lock, order = FairLock(), []

    def take(name):
        with lock:
            order.append(name)

    threads = [threading.Thread(target=take, args=(name,)) for name in "abc"]
    with lock:
        for num_waiting, thread in enumerate(threads, 1):
            thread.start()
            while len(lock._gates) < num_waiting:
                time.sleep(0.001)
    take("me, again")  # the one that has just had it comes last
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c", "me, again"]


def test_ctrl_c_while_waiting_for_the_lock_leaves_the_queue():
    lock, entered, leave = FairLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            entered.set()
            while not lock._gates:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)
            leave.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    with pytest.raises(KeyboardInterrupt), lock:
        pass
    leave.set()
    holder.join()
    with lock:
        assert not lock._gates


@needs_plain_memory
@pytest.mark.parametrize("kind", ["reference", "compiled"])
def test_a_thousand_requests_leave_no_memory_behind(kind):
    served = engine(kind, kv_cache_pages=60, max_chunk_size=64)
    prompts = random_prompts(250, 6, seed=5)
    params = SamplingParams(max_tokens=2, temperature=1.0)
    before = None
    for _ in range(5):
        served.generate(prompts, params)
        gc.collect()
        before = before or rss_bytes()  # the first round touches the cache
    assert rss_bytes() - before < 3 << 20
    assert served.get_stats()["total_requests_served"] == 1250
    require_all_back(served)


def test_the_queue_has_an_end():
    served = engine("reference", max_waiting_requests=2)
    waiting = [served.submit([1]) for _ in range(2)]
    with pytest.raises(
        QueueFull, match="1 more requests do not fit the waiting queue: it holds at most 2 and has 2"
    ):
        served.submit([1])
    with pytest.raises(QueueFull):
        served.stream("To be")
    served.step()  # both have started
    assert served.submit([1]).state is RequestState.WAITING and all(
        len(r.output_tokens) == 1 for r in waiting
    )


def test_a_tokenizer_that_truncates_does_not():
    """A tokenizer.json may ask for it; a prompt that is too long is refused all the same, and not cut."""
    cutting = tokenizers.Tokenizer.from_str(tokenizer().to_str())
    cutting.enable_truncation(5)
    cutting.enable_padding(length=12)
    served = engine("reference", tokenizer=cutting)
    (request,) = served.generate([TEXT[:20]], SamplingParams(max_tokens=1))
    assert request.prompt_tokens == tokenizer().encode(TEXT[:20]).ids
    with pytest.raises(ValueError, match="tokens; the model reads at most 40"):
        served.generate([TEXT])
    assert cutting.truncation["max_length"] == 5, "the caller's own is as it was"


def test_a_progress_bar_counts_requests(capfd):
    engine("reference").generate([[1], [2]], SamplingParams(max_tokens=2), progress=True)
    assert "2/2" in capfd.readouterr().err


def test_text_and_tokens_are_taken_in_one_call():
    served = engine("reference")
    results = served.generate([TEXT[:12], tokenizer().encode(TEXT[:12]).ids], SamplingParams(max_tokens=5))
    assert results[0].output_tokens == results[1].output_tokens
    assert results[0].prompt == TEXT[:12] and results[1].prompt is None


def test_an_engine_builds_its_own_model():
    """Without `model`, the engine makes ch.14's GPT2 from the weights: the same answers."""
    from ch16_testing import weights
    from nano_engine import NanoServingEngine

    served = NanoServingEngine(CONFIG, weights(), page_size=16)
    params = SamplingParams(max_tokens=9)
    expected = engine("compiled", page_size=16).generate([[1, 2, 3]], params)[0].output_tokens
    assert served.generate([[1, 2, 3]], params)[0].output_tokens == expected
    assert model("compiled", 16) is not None


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
