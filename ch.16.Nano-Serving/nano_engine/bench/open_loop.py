"""Asks at the time the workload says, whether or not the engine has kept up, and notes when each token came.

A closed loop, which asks the next question when an answer is there, hides what an overloaded server does to its
callers: it slows down with it. An open loop does not. It can be late itself, because it asks between two steps of the
engine, in the same thread; how late is part of the result.
"""

import dataclasses
import heapq
import time

from ..engine import NanoServingEngine
from ..request import Request
from ..sampling import SamplingParams
from .workloads import Arrival


@dataclasses.dataclass(slots=True)
class Outcome:
    """One request: when it should have been asked, when it was, and when each of its tokens came (all in s)."""

    arrival: Arrival
    due_s: float
    asked_s: float
    request: Request
    token_s: list[float] = dataclasses.field(default_factory=list)

    @property
    def first_token_s(self) -> float:
        return self.token_s[0] - self.due_s

    @property
    def per_token_s(self) -> float:
        """Time per output token after the first."""
        return (self.token_s[-1] - self.token_s[0]) / max(1, len(self.token_s) - 1)

    @property
    def gaps_s(self) -> list[float]:
        return [after - before for before, after in zip(self.token_s, self.token_s[1:])]

    @property
    def end_to_end_s(self) -> float:
        return self.token_s[-1] - self.due_s


# [run]
def run(engine: NanoServingEngine, arrivals: list[Arrival], clock=time.perf_counter) -> list[Outcome]:
    """Plays a workload; returns an outcome for each arrival, in their order."""
    due = [(a.time_s, i) for i, a in enumerate(arrivals) if a.follows is None]
    heapq.heapify(due)
    followers: dict[int, list[int]] = {}
    for i, arrival in enumerate(arrivals):
        if arrival.follows is not None:
            followers.setdefault(arrival.follows, []).append(i)
    outcomes: dict[int, Outcome] = {}
    live: dict[int, int] = {}  # request id -> index

    start = clock()
    while due or live:
        now = clock() - start
        while due and due[0][0] <= now:
            due_s, i = heapq.heappop(due)
            outcomes[i] = ask(engine, arrivals, i, outcomes, due_s, now)
            live[outcomes[i].request.id] = i
        if not live:
            time.sleep(max(0.0, due[0][0] - (clock() - start)))
            continue
        chunks = engine.step()
        now = clock() - start
        for chunk in chunks:
            outcome = outcomes[live[chunk.request.id]]
            if len(chunk.request.output_tokens) > len(outcome.token_s):
                outcome.token_s.append(now)
        for request_id, i in list(live.items()):
            if outcomes[i].request.is_finished:
                del live[request_id]
                for follower in followers.get(i, []):
                    heapq.heappush(due, (now + arrivals[follower].time_s, follower))
    return [outcomes[i] for i in range(len(arrivals))]


# [/run]
def ask(engine, arrivals, index, outcomes, due_s, now_s) -> Outcome:
    arrival = arrivals[index]
    prompt = list(arrival.prompt_tokens)
    if arrival.follows is not None:
        before = outcomes[arrival.follows].request
        prompt = before.prompt_tokens + before.output_tokens + prompt
    params = SamplingParams(max_tokens=arrival.max_tokens, ignore_eos=True)
    return Outcome(arrival, due_s, now_s, engine.submit(prompt, params))


def check_answers(engine: NanoServingEngine, outcomes: list[Outcome]) -> None:
    """Raises unless each answer is the one that `engine` gives to that prompt alone."""
    for i, outcome in enumerate(outcomes):
        request = outcome.request
        (alone,) = engine.generate([request.prompt_tokens], request.params)
        if alone.output_tokens != request.output_tokens:
            raise RuntimeError(
                f"request {i} has {request.output_tokens[:8]}... and alone it has {alone.output_tokens[:8]}..."
            )
