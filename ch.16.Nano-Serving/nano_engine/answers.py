"""The answers to one submission as a coroutine sees them: deltas, of which each request has one last.

It owns the queue between the engine's thread, which puts, and one event loop, which takes.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from .detokenizer import TextDecoder
from .request import Request
from .sampler import TokenLogprobs


class StepShape(NamedTuple):
    """What a request shared a step with, itself included."""

    num_requests: int
    num_tokens: int


class Delta(NamedTuple):
    """What one request has written since its last delta. The one with a finish_reason is the last."""

    index: int  # which prompt of the submission
    tokens: list[int]
    text: str  # whole characters; "" without a tokenizer
    step: StepShape
    time_s: float  # perf_counter() at the end of the step
    finish_reason: str | None = None  # one of FINISH_REASONS
    error: str | None = None  # a sentence, with finish_reason "error"
    logprobs: tuple[TokenLogprobs, ...] = ()  # of the tokens that are part of the text, if asked for


class Answers:
    """The answers to one submission of one or more prompts: an async iterator over their deltas.

    It ends when each prompt has had its last delta. Leaving `async with` aborts what has not ended by then.
    """

    def __init__(self, num_prompts: int, abort: Callable[["Answers"], None]):
        self.requests: list[Request] = []  # one for each prompt, once accepted
        self.abort_reason: str | None = None  # what the first `abort` gave
        self.loop = asyncio.get_running_loop()
        self.accepted = self.loop.create_future()  # done when the engine has all prompts, or refuses
        self._abort = abort
        self._deltas: asyncio.Queue[Delta] = asyncio.Queue()  # bounded by the tokens that may be written
        self._open = set(range(num_prompts))

    @property
    def is_finished(self) -> bool:
        return not self._open

    def abort(self, reason: str) -> None:
        """Asks for the end of all that has not ended; the last deltas still come. Returns at once."""
        if self._open and self.abort_reason is None:
            self.abort_reason = reason
            self._abort(self)

    def put(self, delta: Delta) -> None:
        """On the event loop's thread."""
        self._deltas.put_nowait(delta)

    def __aiter__(self):
        return self

    async def __anext__(self) -> Delta:
        if not self._open:
            raise StopAsyncIteration
        delta = await self._deltas.get()
        if delta.finish_reason is not None:
            self._open.remove(delta.index)
        return delta

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_) -> None:
        self.abort("abandoned")


class Watched:
    """One live request on the engine's thread: how much of it has been handed out."""

    def __init__(self, answers: Answers, index: int, request: Request, decoder: TextDecoder | None):
        self.answers = answers
        self.index = index
        self.request = request
        self.num_taken = 0
        self._decoder = decoder

    def news(self, step: StepShape, now_s: float) -> Delta | None:
        request = self.request
        tokens = request.output_tokens[self.num_taken :]
        if not tokens and not request.is_finished:
            return None
        # The token that ended the answer is not part of its text; a text that ended it, the decoder leaves out.
        num_shown = len(tokens) - isinstance(request.stop_reason, int)
        text = ""
        if self._decoder is not None:
            text = self._decoder.feed(tokens[:num_shown])
            text += self._decoder.flush() if request.is_finished else ""
        logprobs = tuple(request.logprobs[self.num_taken : self.num_taken + num_shown])
        self.num_taken += len(tokens)
        return Delta(self.index, tokens, text, step, now_s, request.finish_reason, request.error, logprobs)
