"""The engine over time: schedules, aborts, streams, threads, memory. What goes wrong: test_faults.py.

The model is the NumPy reference, whose step is exact, except where a test says otherwise.
"""

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

import chapters

from ch16_testing import (
    CONFIG,
    TEXT,
    answer_alone,
    engine,
    model,
    needs_plain_memory,
    random_prompts,
    require_all_back,
    rss_bytes,
    run_all,
    tokenizer,
    weights,
)
from nano_engine import NanoServingEngine, QueueFull, RequestState, SamplingParams
from nano_engine.batch import Chunk
from nano_engine.fair_lock import FairLock

# Schedules


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


# Pages


def test_pages_are_taken_as_they_are_needed():
    served = engine("hash", kv_cache_pages=6, max_chunk_size=4)  # 24 slots
    a = served.submit([1] * 5, SamplingParams(max_tokens=8))  # 12 slots in the end: 3 pages
    pages = []
    while not a.is_finished:
        pages.append(len(a.page_table))
        served.step()
    assert pages == [0, 1, 2, 2, 2, 2, 3, 3, 3]
    require_all_back(served)


def test_without_paging_the_worst_case_is_one_piece():
    served = engine("hash", kv_cache_pages=6, enable_paging=False, enable_prefix_cache=False)
    a = served.submit([1] * 5, SamplingParams(max_tokens=8))  # 12 slots: 3 pages
    b = served.submit([2] * 5, SamplingParams(max_tokens=9))  # 13 slots: 4 pages
    c = served.submit([3], SamplingParams(max_tokens=1))  # would fit, and waits its turn
    served.step()
    assert (a.state, b.state, c.state) == (RequestState.DECODE, RequestState.WAITING, RequestState.WAITING)
    assert a.page_table == [0, 1, 2] and served.get_stats()["num_free_pages"] == 3
    run_all(served, [a, b, c])
    assert served.get_stats()["num_free_pages"] == 6 and served.get_stats()["num_preemptions"] == 0


def test_a_request_that_begins_like_another_takes_its_pages():
    served = engine("hash")
    asked = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    (first,) = served.generate([asked], SamplingParams(max_tokens=4))
    assert first.num_cached_tokens == 0
    (same,) = served.generate([asked], SamplingParams(max_tokens=4))
    assert same.output_tokens == first.output_tokens and same.num_cached_tokens == 8
    (longer,) = served.generate([asked + first.output_tokens], SamplingParams(max_tokens=4))
    assert longer.num_cached_tokens == 12, "what was written is cached like what was read"
    (other,) = served.generate([asked], SamplingParams(max_tokens=4), cache_salt="another tenant")
    assert other.output_tokens == first.output_tokens and other.num_cached_tokens == 0
    stats = served.get_stats()
    assert (stats["total_prompt_tokens"], stats["total_cached_prompt_tokens"]) == (9 + 9 + 13 + 9, 8 + 12)
    assert stats["cache_hit_rate"] == 20 / 40
    served.reset_prefix_cache()
    assert served.get_stats()["num_free_pages"] == 256


@pytest.mark.parametrize("num_tokens, num_cached", [(7, 4), (8, 4), (9, 8), (4, 0)])
def test_a_prompt_that_is_all_cached_still_reads_its_last_token(num_tokens, num_cached):
    """At a page boundary the whole prompt is in the tree; its last page is read again for the sake of its logits."""
    served = engine("hash")
    prompt = list(range(num_tokens))
    answers = [served.generate([prompt], SamplingParams(max_tokens=5))[0] for _ in range(2)]
    assert (
        answers[0].output_tokens
        == answers[1].output_tokens
        == answer_alone(tuple(prompt), SamplingParams(max_tokens=5), "hash")
    )
    assert [a.num_cached_tokens for a in answers] == [0, num_cached]


def test_requests_of_one_batch_share_what_the_first_has_read():
    """Ten equal prompts at once: the second finds what the first has read in the steps before."""
    served = engine("hash", max_chunk_size=8)
    results = served.generate([[7] * 33] * 10, SamplingParams(max_tokens=3))
    assert [r.num_cached_tokens for r in results] == [0] + [32] * 9
    assert len({tuple(r.output_tokens) for r in results}) == 1
    require_all_back(served)


def test_the_youngest_pays_when_pages_run_out():
    served = engine("hash", kv_cache_pages=6, enable_prefix_cache=False)
    old = served.submit([1] * 8, SamplingParams(max_tokens=12))  # 5 pages in the end
    young = served.submit([2] * 8, SamplingParams(max_tokens=12))
    while not young.num_preemptions:
        served.step()
        served.check_integrity()
    assert young.state is RequestState.WAITING and young.output_tokens and young.page_table == []
    run_all(served, [old])
    assert not old.num_preemptions and not young.is_finished
    run_all(served, [young])
    for request, prompt in ((old, [1] * 8), (young, [2] * 8)):
        assert request.output_tokens == answer_alone(tuple(prompt), request.params, "hash")
    assert served.get_stats()["num_preemptions"] == young.num_preemptions == 1


def test_an_older_prompt_may_cost_a_younger_answer_its_pages(monkeypatch):
    """With a budget that is shared evenly (exercise 2), an answer may be scheduled in a step and then be preempted."""

    def split_evenly(requests, budget):
        chunks = []
        for request in requests:
            num = min(request.num_pending_tokens, max(1, budget.num_tokens // 2))
            chunks.append(Chunk(request, request.num_computed_tokens, request.num_computed_tokens + num))
        return chunks

    monkeypatch.setattr("nano_engine.prefill_manager.split_budget", split_evenly)
    num_seen = 0
    for num_tokens in range(1, 9):
        served = engine("hash", kv_cache_pages=7, max_chunk_size=2, enable_prefix_cache=False)
        old = served.submit([1] * 20, SamplingParams(max_tokens=1))
        young = served.submit([2] * num_tokens, SamplingParams(max_tokens=20))
        while not (old.is_finished and young.is_finished):
            was_decoding, num_before = young.state is RequestState.DECODE, young.num_preemptions
            reading = old.state is RequestState.PREFILL and old.num_pending_tokens > 1
            served.step()
            served.check_integrity()
            num_seen += was_decoding and reading and young.num_preemptions > num_before
        for request in (old, young):
            assert request.output_tokens == answer_alone(tuple(request.prompt_tokens), request.params, "hash")
    assert num_seen > 0


def test_what_a_preempted_request_has_computed_stays_cached_while_it_can():
    served = engine("hash", kv_cache_pages=20)
    request = served.submit([1] * 8, SamplingParams(max_tokens=20))
    for _ in range(10):
        served.step()
    served._requests.preempt(request)
    chunks = served.step()
    assert [(c.start, c.stop) for c in chunks] == [(16, 18)] and request.num_cached_tokens == 0
    run_all(served, [request])
    assert request.output_tokens == answer_alone((1,) * 8, request.params, "hash")


def test_a_request_knows_who_shared_its_steps():
    served = engine("hash")
    alone = served.generate([[1]], SamplingParams(max_tokens=4))[0]
    assert (alone.num_steps, alone.max_batch_size, alone.mean_batch_size) == (4, 1, 1.0)
    long, short = served.generate([[1], [2]], [SamplingParams(max_tokens=n) for n in (4, 2)])
    assert (long.max_batch_size, long.mean_batch_size, short.mean_batch_size) == (2, 1.5, 2.0)


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


def test_a_caller_that_is_overtaken_at_the_door_is_the_later_one():
    """A thread that has checked its prompt may lose the processor before it has the lock."""
    served = engine("reference")

    class Overtaken(FairLock):
        def __enter__(self):
            if not served._requests.waiting:
                served._lock = FairLock()
                served.submit([2])
            return super().__enter__()

    served._lock = Overtaken()
    late = served.submit([1])
    assert [request.prompt_tokens for request in served._requests.waiting.values()] == [[2], [1]]
    assert late.id == 1
    served.check_integrity()
    while served.step():
        served.check_integrity()
    require_all_back(served)


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


def test_who_waits_for_pages_counts_what_was_cached_once():
    """Each try to start looks into the prefix cache; only the one that succeeds counts."""
    served = engine("hash", kv_cache_pages=7)
    prefix = list(range(1, 9))
    served.generate([prefix], SamplingParams(max_tokens=1))
    first = served.submit([9] * 10, SamplingParams(max_tokens=11, ignore_eos=True))
    served.step()
    second = served.submit(prefix + [5] * 8, SamplingParams(max_tokens=4, ignore_eos=True))
    for _ in range(3):
        served.step()
        assert second.id not in served._requests.running and second.num_cached_tokens == 0
    run_all(served, [first, second])
    assert second.num_cached_tokens == 8
    require_all_back(served)


def test_threads_share_a_step_and_change_no_answer():
    params = SamplingParams(max_tokens=6, temperature=1.0, seed=2)
    served = NanoServingEngine(CONFIG, weights(), page_size=4, num_threads=2)
    assert served._batcher.executor.model.num_threads == 2
    prompts = [[1, 2, 3], [4] * 12, [5]]
    for request, prompt in zip(served.generate(prompts, params), prompts):
        assert request.output_tokens == answer_alone(tuple(prompt), params, "compiled")
    with pytest.raises(ValueError, match="num_threads=2 is for the engine's own model, and model was given"):
        engine("hash", num_threads=2)
    with pytest.raises(ValueError, match="num_threads: expected 1 to 1024, got 0"):
        NanoServingEngine(CONFIG, weights(), num_threads=0)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
