"""The engine for asyncio: one background thread steps it while there is work.

    async with AsyncEngine(engine) as served:
        async for delta in served.stream("To be, or", SamplingParams(max_tokens=50)):
            print(delta.text, end="")

Who does what, so that the event loop never waits for a step:

    event loop        counts what is open, refuses what is too much, hands deltas to whoever awaits them
    tokenizer threads turn texts into token ids
    engine thread     submits, aborts and steps, and nobody else touches the engine

Every request that was accepted ends in exactly one delta with a finish_reason, whatever happens: it is
complete, it is aborted, its step fails, or the engine's thread dies.
"""

import asyncio
import functools
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from .answers import Answers, Delta, StepShape, Watched
from .engine import NanoServingEngine
from .request_pool import QueueFull
from .sampling import SamplingParams, require_int

logger = logging.getLogger("nano_engine")

MAX_OPEN_REQUESTS = 256
IDLE_S = 0.001


class NotServing(RuntimeError):
    """The engine is shutting down, or its thread has died: no new request is taken."""


class AsyncEngine:
    """Serves a NanoServingEngine to coroutines of any event loop.

    max_open_requests      requests that wait and run together; more are refused with QueueFull at once
    num_tokenizer_threads  texts that are tokenized at the same time
    """

    def __init__(
        self,
        engine: NanoServingEngine,
        *,
        max_open_requests: int = MAX_OPEN_REQUESTS,
        num_tokenizer_threads: int = 2,
    ):
        self.engine = engine
        self.max_open_requests = require_int("max_open_requests", max_open_requests, 1)
        self._tokenizers = ThreadPoolExecutor(num_tokenizer_threads, thread_name_prefix="tokenize")
        self._wake = threading.Condition()  # guards the four that follow
        self._inbox: list[Callable[[], None]] = []  # for the engine's thread, in order
        self._num_open = 0
        self._is_draining = False
        self._is_closed = False
        self._watched: dict[int, Watched] = {}  # by request id; the engine thread's own
        self._outbox: dict[asyncio.AbstractEventLoop, list[tuple[Answers, Delta]]] = {}
        self._stats = engine.get_stats()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    # For coroutines

    async def submit(
        self, prompts: Sequence, params: Sequence[SamplingParams], cache_salt: str = ""
    ) -> Answers:
        """Puts all prompts into the queue, or none. params: one for each prompt; cache_salt: as for the engine.

        QueueFull if too many requests are open, NotServing during and after a shutdown, and the engine's
        ValueError or TypeError, with the sentence that says which prompt cannot be served and why.
        """
        if not prompts or len(prompts) != len(params):
            raise ValueError(
                f"one SamplingParams for each prompt, got {len(params)} for {len(prompts)} prompts"
            )
        self._enter(len(prompts))
        answers = Answers(len(prompts), self._ask_abort)
        try:
            encoded = [
                await answers.loop.run_in_executor(self._tokenizers, self._encode, prompt)
                for prompt in prompts
            ]
            self._post(functools.partial(self._submit, answers, encoded, params, cache_salt), or_else=answers)
        except BaseException:
            self._leave(len(prompts))
            raise
        try:
            await asyncio.shield(answers.accepted)  # it keeps the count from here on
        except asyncio.CancelledError:
            answers.abort("abandoned")
            answers.accepted.add_done_callback(lambda future: future.cancelled() or future.exception())
            raise
        return answers

    async def stream(
        self, prompt, params: SamplingParams | None = None, cache_salt: str = ""
    ) -> AsyncIterator[Delta]:
        """The deltas of one answer. The request is aborted when the iteration is left or cancelled."""
        params = SamplingParams() if params is None else params
        async with await self.submit([prompt], [params], cache_salt) as answers:
            async for delta in answers:
                yield delta

    def get_stats(self) -> dict:
        """The engine's get_stats() after the latest step, and how many requests are open. Never waits."""
        return self._stats | {"num_open_requests": self._num_open}

    @property
    def is_serving(self) -> bool:
        return not self._is_draining and self._thread.is_alive()

    def refuse_new(self) -> None:
        """From now on `submit` raises NotServing; what is open goes on."""
        self._is_draining = True

    async def drain(self, timeout_s: float) -> bool:
        """Refuses new requests and waits for those open; aborts what is left after timeout_s.

        Returns whether all of them ended by themselves.
        """
        self.refuse_new()
        try:
            async with asyncio.timeout(timeout_s):
                await self._until_nothing_is_open()
            return True
        except TimeoutError:
            self._post(self._abort_all)
            await self._until_nothing_is_open()
            return False

    def close(self) -> None:
        """Aborts what is open and ends the engine's thread. May be called more than once."""
        self.refuse_new()
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join()
        self._tokenizers.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_) -> None:
        await asyncio.to_thread(self.close)

    async def _until_nothing_is_open(self) -> None:
        while self._num_open and self._thread.is_alive():
            await asyncio.sleep(0.01)

    def _encode(self, prompt):
        """Token ids where it can; what the engine would refuse stays as it is, and the engine refuses it."""
        if isinstance(prompt, str) and self.engine.tokenizer is not None and is_unicode(prompt):
            return self.engine.tokenizer.encode(prompt).ids
        return prompt

    def _ask_abort(self, answers: Answers) -> None:
        self._post(functools.partial(self._abort, answers))

    # Counting: a request is open from `submit` until its last delta is on its way

    def _enter(self, num: int) -> None:
        with self._wake:
            if not self.is_serving:
                raise NotServing("the server is shutting down and takes no new requests")
            if self._num_open + num > self.max_open_requests:
                raise QueueFull(
                    f"{num} more requests do not fit: {self._num_open} of at most {self.max_open_requests} "
                    "wait or run"
                )
            self._num_open += num

    def _leave(self, num: int) -> None:
        with self._wake:
            self._num_open -= num

    def _post(self, call: Callable[[], None], or_else: Answers | None = None) -> None:
        """Has the engine's thread make this call before its next step."""
        with self._wake:
            if self._is_closed or not self._thread.is_alive():
                if or_else is not None:
                    raise NotServing("the engine's thread has ended")
                return
            self._inbox.append(call)
            self._wake.notify()

    # The engine's thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException:
            logger.exception("the engine's thread has died")
        finally:
            with self._wake:
                self._is_closed = True
                left, self._inbox = self._inbox, []
            for call in left:  # each submission gets its answer, if only a refusal
                if isinstance(call, functools.partial) and call.func == self._submit:
                    answers, prompts = call.args[:2]
                    self._refuse(answers, len(prompts), NotServing("the engine's thread has ended"))
            self._fail_all("the engine's thread has ended", "abort")
            self._deliver()

    # [turn]
    def _turn(self) -> bool:
        """Everything in the inbox, then one step; False when closed."""
        with self._wake:
            while not (self._inbox or self._watched or self._is_closed):
                self._wake.wait()
            if self._is_closed:
                return False
            inbox, self._inbox = self._inbox, []
        for call in inbox:
            call()
        step = StepShape(0, 0)
        if self._watched:
            try:
                chunks = self.engine.step()
            except Exception as failure:  # not of one request: the engine says it cannot go on
                logger.exception("a step failed")
                self._fail_all(f"the engine's step failed: {type(failure).__name__}: {failure}", "error")
            else:
                step = StepShape(len(chunks), sum(chunk.num_tokens for chunk in chunks))
        if not self._collect(step) and not step.num_requests:
            with self._wake:  # nothing could be done: do not turn in circles at full speed
                self._wake.wait(IDLE_S)
        self._stats = self.engine.get_stats()
        self._deliver()
        return True

    # [/turn]
    def _submit(
        self, answers: Answers, prompts: list, params: Sequence[SamplingParams], cache_salt: str
    ) -> None:
        try:
            for index, prompt in enumerate(prompts):
                try:
                    request = self.engine.submit(prompt, params[index], cache_salt)
                except (ValueError, TypeError) as failure:
                    if len(prompts) == 1:
                        raise
                    raise type(failure)(f"of prompt {index}, {failure}") from None
                answers.requests.append(request)
        except Exception as failure:
            for request in answers.requests:
                self.engine.abort(request.id)
            answers.requests = []
            self._refuse(answers, len(prompts), failure)
            return
        for index, request in enumerate(answers.requests):
            decoder = None if self.engine.tokenizer is None else self.engine.start_decoder(request)
            self._watched[request.id] = Watched(answers, index, request, decoder)
        self._call(answers.loop, functools.partial(_set, answers.accepted, None, None))

    def _refuse(self, answers: Answers, num: int, failure: Exception) -> None:
        self._leave(num)
        self._call(answers.loop, functools.partial(_set, answers.accepted, None, failure))

    def _abort(self, answers: Answers) -> None:
        for request in answers.requests:
            self.engine.abort(request.id)

    def _abort_all(self) -> None:
        for request_id, watched in self._watched.items():
            watched.answers.abort_reason = watched.answers.abort_reason or "shutdown"
            self.engine.abort(request_id)

    def _fail_all(self, sentence: str, reason: str) -> None:
        """Ends all requests without the engine's help, should it have none to give."""
        for request_id, watched in self._watched.items():
            try:
                self.engine.abort(request_id)
            except Exception:
                logger.exception("request %d could not be aborted", request_id)
            error = sentence if reason == "error" else None
            last = Delta(watched.index, [], "", StepShape(0, 0), perf_counter(), reason, error)
            self._put(watched.answers, last)
        self._watched.clear()

    def _collect(self, step: StepShape) -> bool:
        """Puts what is new into the outbox, and lets go of what has ended; whether there was anything."""
        now_s = perf_counter()
        ended = []
        for request_id, watched in self._watched.items():
            delta = watched.news(step, now_s)
            if delta is not None:
                self._put(watched.answers, delta)
                if delta.finish_reason is not None:
                    ended.append(request_id)
        for request_id in ended:
            del self._watched[request_id]
        return bool(self._outbox)

    def _put(self, answers: Answers, delta: Delta) -> None:
        self._outbox.setdefault(answers.loop, []).append((answers, delta))

    def _deliver(self) -> None:
        """One call to each event loop, however many requests have news."""
        outbox, self._outbox = self._outbox, {}
        for loop, deltas in outbox.items():
            self._call(loop, functools.partial(_hand_over, deltas))
            self._leave(sum(delta.finish_reason is not None for _, delta in deltas))

    def _call(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: nobody waits any more
            for watched in list(self._watched.values()):
                if watched.answers.loop is loop:
                    self.engine.abort(watched.request.id)


def is_unicode(text: str) -> bool:
    """Whether it has an encoding: a lone surrogate, which JSON can write, has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _hand_over(deltas: list[tuple[Answers, Delta]]) -> None:
    for answers, delta in deltas:
        answers.put(delta)


def _set(future: asyncio.Future, result, failure: Exception | None) -> None:
    if not future.done():
        future.set_result(result) if failure is None else future.set_exception(failure)
