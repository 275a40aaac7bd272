"""The scheduler as a model-based test: any sequence of events, against one request at a time.

A case is data: the engine's options and a list of events. Hypothesis makes cases event by event; one that fails is
written to a file, and

    python3 test_schedule.py FILE

plays it again. After every event each page is accounted for; in the end every request has ended, and its tokens and
logits are those it has alone.
"""

import functools
import hashlib
import itertools
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import chapters

from ch16_testing import CONFIG, HashModel, Recorder, engine, require_all_back
from nano_engine import SamplingParams
from nano_engine.chunked_prefill import MAX_TOKENS

MAX_STEPS = 600  # more than any case here needs


@functools.cache
def recorder(page_size: int) -> Recorder:
    """All engines of a page size share one, so that logits are compared between them."""
    return Recorder(HashModel(), page_size)


@functools.cache
def alone(prompt: tuple[int, ...], params: SamplingParams, page_size: int) -> tuple[list[int], str]:
    """The oracle: nothing else runs, nothing is cached, nothing is cut or preempted."""
    served = engine(
        "hash",
        page_size,
        wrap=lambda _: recorder(page_size),
        enable_prefix_cache=False,
        max_chunk_size=CONFIG.n_positions,
    )
    (request,) = served.generate([prompt], params)
    return request.output_tokens, request.finish_reason


class Play:
    """Plays a case. Each event is a list: its name and what it needs."""

    def __init__(self, options: dict):
        self.case = {"options": options, "events": []}
        self.page_size = options["page_size"]
        self.served = engine("hash", wrap=lambda _: recorder(self.page_size), **options)
        self.requests = []

    def do(self, name: str, *arguments) -> None:
        self.case["events"].append([name, *arguments])
        getattr(self, name)(*arguments)
        self.served.check_integrity()

    def submit(self, prompt: list[int], options: dict, salt: str) -> None:
        params = SamplingParams(**options)
        try:
            self.requests.append(self.served.submit(prompt, params, salt))
        except ValueError as refusal:
            assert "and the whole KV cache has" in str(refusal)
            needed = -(-(len(prompt) + params.max_tokens - 1) // self.page_size)
            assert needed > self.served.kv_pool.num_pages, "it would have fitted"

    def abort(self, index: int) -> None:
        if self.requests:
            request = self.requests[index % len(self.requests)]
            was_finished = request.is_finished
            assert self.served.abort(request.id) != was_finished

    def preempt(self) -> None:
        """As if pages had run out."""
        running = self.served._requests.running
        if running:
            self.served._requests.preempt(next(reversed(running.values())))

    def evict(self, num_pages: int) -> None:
        self.served._radix.evict(num_pages)

    def forget(self) -> None:
        self.served.reset_prefix_cache()

    # [play]
    def step(self) -> None:
        live = [r for r in self.requests if not r.is_finished]
        oldest = live[0] if live else None
        before = oldest and (oldest.num_computed_tokens, oldest.num_preemptions)
        chunks = self.served.step()
        assert bool(chunks) == bool(live), "something lives, and nothing was read, or the other way round"
        options = self.case["options"]
        most = options["max_chunk_size"] or MAX_TOKENS
        assert sum(c.num_tokens for c in chunks) <= max(most, options["max_batch_size"])
        assert len(chunks) <= options["max_batch_size"]
        if oldest and not oldest.is_finished:  # it always comes forward, and is never the one who pays
            assert oldest.num_computed_tokens > before[0] and oldest.num_preemptions == before[1]

    def end(self) -> None:
        for _ in range(MAX_STEPS):
            if all(request.is_finished for request in self.requests):
                break
            self.do("step")
        assert all(request.is_finished for request in self.requests), "a request does not end"
        for request in self.requests:
            expected, reason = alone(tuple(request.prompt_tokens), request.params, self.page_size)
            if request.finish_reason == "abort":
                assert request.output_tokens == expected[: len(request.output_tokens)]
            else:
                assert (request.output_tokens, request.finish_reason) == (expected, reason), request.error
        recorder(self.page_size).require_equal_bits()
        require_all_back(self.served)
        self.served.reset_prefix_cache()
        assert self.served.kv_pool.num_free_pages == self.served.kv_pool.num_pages

    # [/play]


def keep_case(case: dict, failure: BaseException) -> None:
    """Writes a case that failed to a file, and says so in the failure."""
    text = json.dumps(case)
    name = f"ch16-schedule-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}.json"
    file = pathlib.Path(tempfile.gettempdir()) / name
    file.write_text(text)
    failure.add_note(f"play it again: python3 test_schedule.py {file}")


def replay(case: dict) -> None:
    play = Play(case["options"])
    for event in case["events"]:
        play.do(*event)
    play.end()


# [machine]
PROMPT_LISTS = st.lists(st.integers(0, 1), min_size=1, max_size=9)
OPTIONS = st.fixed_dictionaries(
    {
        "max_tokens": st.integers(1, 7),
        "temperature": st.sampled_from([0.0, 1.0]),
        "seed": st.integers(0, 1),
        "stop_token_ids": st.sampled_from([[], list(range(0, CONFIG.vocab_size, 5))]),
    }
)


class ScheduleMachine(RuleBasedStateMachine):
    """Prompts are words over two letters, so that prefixes are shared, and many prompts are the same."""

    @initialize(
        page_size=st.integers(1, 4),
        num_slots=st.integers(8, 40),
        max_chunk_size=st.integers(1, 12) | st.none(),
        max_batch_size=st.integers(1, 5),
        enable_prefix_cache=st.sampled_from([True, True, False]),
    )
    def start(self, page_size, num_slots, **options):
        pages = max(2, num_slots // page_size)
        self.play = Play({"page_size": page_size, "kv_cache_pages": pages, **options})

    def do(self, *event):
        try:
            self.play.do(*event)
        except BaseException as failure:
            keep_case(self.play.case, failure)
            raise

    @rule(
        prompt=PROMPT_LISTS, options=OPTIONS, salt=st.sampled_from(["", "", "", "b"]), num=st.integers(1, 3)
    )
    def submit(self, prompt, options, salt, num):
        for _ in range(num):  # duplicates, in one batch
            self.do("submit", prompt, options, salt)

    @rule(num=st.integers(1, 6))
    def step(self, num):
        for _ in range(num):
            self.do("step")

    @rule(index=st.integers(0, 20))
    def abort(self, index):
        self.do("abort", index)

    @rule()
    def preempt(self):
        self.do("preempt")

    @rule(num_pages=st.integers(1, 9))
    def evict(self, num_pages):
        self.do("evict", num_pages)

    @rule()
    def forget(self):
        self.do("forget")

    def teardown(self):
        if hasattr(self, "play"):
            try:
                self.play.end()
            except BaseException as failure:
                keep_case(self.play.case, failure)
                raise


# [/machine]
ScheduleMachine.TestCase.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, derandomize=True
)
TestSchedules = ScheduleMachine.TestCase


# [exhaustive]
@pytest.mark.parametrize("enable_prefix_cache", [True, False])
@pytest.mark.parametrize("max_chunk_size", [1, 3, 8])
@pytest.mark.parametrize(
    "prompts",
    [
        ((1, 2), (3, 1, 2, 3), (2, 2, 3, 1, 0, 1)),
        ((1, 2, 1, 2), (1, 2, 1, 2), (1, 2, 1, 2)),  # the same, at a page boundary
        ((1, 2, 1, 2, 3), (1, 2, 1, 3), (1, 2)),
    ],
)
def test_three_requests_on_six_pages_in_every_order(prompts, max_chunk_size, enable_prefix_cache):
    """All arrivals at steps 0 to 3, of requests that need up to 6 of the 6 pages each."""
    options = {
        "page_size": 2,
        "kv_cache_pages": 6,
        "max_chunk_size": max_chunk_size,
        "max_batch_size": 3,
        "enable_prefix_cache": enable_prefix_cache,
    }
    num_preemptions = 0
    for arrivals in itertools.product(range(4), repeat=3):
        play = Play(options)
        for step in range(4):
            for prompt, arrival in zip(prompts, arrivals):
                if arrival == step:
                    play.do("submit", list(prompt), {"max_tokens": 12 - len(prompt)}, "")
            if play.requests:
                play.do("step")
        play.end()
        num_preemptions += play.served.get_stats()["num_preemptions"]
    assert num_preemptions > 20


# [/exhaustive]
def test_a_failing_case_is_kept_and_fails_again(monkeypatch, tmp_path):
    """With two pages in the wrong order, the machine must fail, and what it has written must fail again."""
    from nano_engine import radix_manager

    real = radix_manager.RadixManager.reuse

    def wrong(self, request):
        real(self, request)
        if request.num_cached_tokens and len(request.page_table) > 1:
            request.page_table[:2] = request.page_table[1::-1]

    monkeypatch.setattr(radix_manager.RadixManager, "reuse", wrong)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises((AssertionError, RuntimeError)):
        run_state_machine_as_test(
            ScheduleMachine, settings=settings(phases=[Phase.generate], derandomize=True, deadline=None)
        )
    files = sorted(tmp_path.glob("*.json"), key=lambda file: file.stat().st_size)
    assert files
    with pytest.raises((AssertionError, RuntimeError)):
        replay(json.loads(files[0].read_text()))
    monkeypatch.undo()
    replay(json.loads(files[0].read_text()))


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].endswith(".json"):
        replay(json.loads(pathlib.Path(sys.argv[1]).read_text()))
        print("it passes")
    else:
        raise SystemExit(chapters.run_tests(__file__))
