"""One request to the two endpoints that write: from a checked body to the last event.

It applies the operator's limits, submits, follows the answers within their deadline, and whatever happens to
the client, its requests end in the engine.
"""

import asyncio
import dataclasses
import re
import secrets
from collections.abc import AsyncGenerator, Sequence

from ..answers import Answers, Delta
from ..async_engine import AsyncEngine, NotServing
from ..detokenizer import Detokenizer
from ..request import Request
from ..request_pool import QueueFull
from ..sampler import TokenLogprobs
from ..sampling import SamplingParams
from .auth import ApiKeys
from .chat import ChatTemplate
from .errors import ApiError, error_body, invalid
from .limits import Limits
from .logprobs import LogprobsWriter
from .metrics import Metrics, Stopwatch
from .params import ENGINE_FIELDS, at_most, nth, sampling_params
from .protocol import ChatBody, CompletionBody, SamplingBody
from .shapes import ChatShape, Choice, CompletionShape, Shape, Usage
from .sse import DONE, event

RETRY_AFTER = {"retry-after": "1"}
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclasses.dataclass(slots=True)
class Service:
    """What all requests share."""

    engine: AsyncEngine
    model_name: str
    limits: Limits
    keys: ApiKeys
    metrics: Metrics
    template: ChatTemplate | None = None
    # By tenant and id. An id is secret enough to guess and the tenant's own.
    open: dict[tuple[str, str], "Exchange"] = dataclasses.field(default_factory=dict)


class Exchange:
    def __init__(self, service: Service, shape: Shape, body: SamplingBody, tenant: str, echo: list[str]):
        self.id = shape.id
        self._service = service
        self._shape = shape
        self._body = body
        self._tenant = tenant
        self._echo = echo  # for each answer, the text that goes before it
        self._answers: Answers | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._num_tokens = 0
        self._writers: list[LogprobsWriter] = []

    # Beginning

    @classmethod
    async def of_completion(
        cls, service: Service, body: CompletionBody, tenant: str, request_id: str | None
    ) -> "Exchange":
        """ApiError if it cannot be served."""
        limits = service.limits
        is_one = isinstance(body.prompt, str) or isinstance(body.prompt[0], int)
        prompts = [body.prompt] if is_one else body.prompt
        at_most("prompt", "prompts", len(prompts), limits.max_prompts)
        shape = CompletionShape(_checked_id(request_id), service.model_name)
        params = sampling_params(body, limits, body.max_tokens or 16, body.logprobs)
        if body.echo and body.logprobs is not None:
            raise invalid("echo", "echo with logprobs is not supported: a prompt's own are not computed")
        echo = [_as_text(service.engine, prompt) if body.echo else "" for prompt in prompts]
        return await cls(service, shape, body, tenant, echo)._begin(prompts, params)

    @classmethod
    async def of_chat(
        cls, service: Service, body: ChatBody, tenant: str, request_id: str | None, template: ChatTemplate
    ) -> "Exchange":
        """ApiError if it cannot be served."""
        limits = service.limits
        at_most("messages", "messages", len(body.messages), limits.max_messages)
        num_chars = sum(len(message.content) for message in body.messages)
        at_most("messages", "characters", num_chars, limits.max_prompt_chars)
        if body.max_tokens is not None and body.max_completion_tokens is not None:
            raise invalid("max_completion_tokens", "give max_tokens or max_completion_tokens, not both")
        shape = ChatShape(_checked_id(request_id), service.model_name)
        max_tokens = body.max_completion_tokens or body.max_tokens or service.engine.engine.config.max_seq_len
        if body.top_logprobs is not None and not body.logprobs:
            raise invalid("top_logprobs", "top_logprobs needs logprobs: true")
        logprobs = (body.top_logprobs or 0) if body.logprobs else None
        params = sampling_params(body, limits, max_tokens, logprobs, "top_logprobs")
        prompt = await asyncio.to_thread(template.prompt, body.messages)
        return await cls(service, shape, body, tenant, [""])._begin([prompt], params)

    async def _begin(self, prompts: list, params: SamplingParams) -> "Exchange":
        service, limits = self._service, self._service.limits
        if self._body.model not in (None, service.model_name):
            raise ApiError(
                404,
                f"there is no model {self._body.model[:60]!r}; this server has {service.model_name!r}",
                param="model",
                code="model_not_found",
            )
        if self._body.stream_options is not None and not self._body.stream:
            raise invalid("stream_options", "stream_options needs stream: true")
        for prompt in prompts:
            if isinstance(prompt, str):
                at_most("prompt", "characters", len(prompt), limits.max_prompt_chars)
            else:
                at_most("prompt", "tokens", len(prompt), service.engine.engine.config.max_seq_len)
        if (self._tenant, self.id) in service.open:
            raise ApiError(409, f"a request {self.id} is open", param="x-request-id", code="duplicate_id")

        n = self._body.n or 1
        self._echo = [text for text in self._echo for _ in range(n)]
        service.open[self._tenant, self.id] = self
        try:
            self._answers = await service.engine.submit(
                [prompt for prompt in prompts for _ in range(n)],
                [nth(params, k) for _ in prompts for k in range(n)],
                service.keys.salt(self._tenant, self._body.user or ""),
            )
        except BaseException as failure:
            self.end()
            refusal = self._refusal(failure)
            if refusal is None:
                raise
            raise refusal from failure
        tokenizer = service.engine.engine.tokenizer
        if params.logprobs is not None:
            detokenizer = None if tokenizer is None else Detokenizer(tokenizer)
            self._writers = [LogprobsWriter(detokenizer) for _ in self._echo]
        timeout_s = min(self._body.timeout_s or limits.request_timeout_s, limits.request_timeout_s)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(timeout_s, self._answers.abort, "deadline")
        return self

    def _refusal(self, failure: BaseException) -> ApiError | None:
        if isinstance(failure, QueueFull):
            return ApiError(429, str(failure), code="queue_full", headers=RETRY_AFTER)
        if isinstance(failure, NotServing):
            return ApiError(503, str(failure), code="shutting_down", headers=RETRY_AFTER)
        if isinstance(failure, ValueError | TypeError):
            named = [word for word in re.findall(r"\w+", str(failure)) if word in ENGINE_FIELDS]
            prompt = "messages" if isinstance(self._body, ChatBody) else "prompt"
            return invalid(named[0] if named else prompt, str(failure))
        return None

    # Following

    async def whole(self) -> dict:
        """The answer as one JSON object, when it is complete."""
        texts = list(self._echo)
        reasons = [""] * len(texts)
        entries = [[] for _ in texts]
        async for delta in self._deltas():
            if delta.error is not None:
                raise ApiError(500, delta.error, code="engine_error")
            texts[delta.index] += delta.text
            reasons[delta.index] = delta.finish_reason or ""
            entries[delta.index] += delta.logprobs
        choices = [
            Choice(index, texts[index], reasons[index], self._logprobs(index, entries[index]))
            for index in range(len(texts))
        ]
        return self._shape.whole(choices, self._usage())

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The answer as events, as it is written; the last is [DONE]."""
        options = self._body.stream_options
        with_usage = options is not None and options.include_usage
        with_batch = options is not None and options.include_batch
        begun = set()
        async for delta in self._deltas():
            if delta.error is not None:
                yield event(error_body(500, delta.error, code="engine_error"))
                break
            is_first = delta.index not in begun
            if not (delta.text or delta.finish_reason or delta.logprobs or is_first):
                continue  # in the middle of a character
            text = (self._echo[delta.index] if is_first else "") + delta.text
            begun.add(delta.index)
            logprobs = self._logprobs(delta.index, delta.logprobs)
            chunk = self._shape.chunk(Choice(delta.index, text, delta.finish_reason, logprobs), is_first)
            if with_usage:
                chunk["usage"] = None
            if with_batch:
                chunk["batch"] = {
                    "requests": delta.step.num_requests,
                    "tokens": delta.step.num_tokens,
                    "cached_tokens": _num_cached(self._answers.requests[delta.index]),
                }
            yield event(chunk)
        else:
            if with_usage:
                yield event(self._shape.usage_chunk(self._usage()))
        yield DONE

    async def _deltas(self) -> AsyncGenerator[Delta, None]:
        """The engine's deltas, counted and timed, with the true reason of an abort."""
        watches = [Stopwatch(self._service.metrics, r.arrival_s) for r in self._answers.requests]
        async for delta in self._answers:
            self._num_tokens += len(delta.tokens)
            watches[delta.index].observe(delta)
            if delta.finish_reason == "abort" and self._answers.abort_reason == "deadline":
                delta = delta._replace(finish_reason="timeout")
            if self._answers.is_finished:  # before the client hears of it, so that its id is free then
                self.end()
            yield delta

    def _logprobs(self, index: int, entries: Sequence[TokenLogprobs]) -> dict | None:
        if self._answers.requests[index].params.logprobs is None:
            return None
        return self._shape.logprobs(self._writers[index], entries)

    def _usage(self) -> Usage:
        firsts = self._answers.requests[:: self._body.n or 1]
        return Usage(
            sum(request.num_prompt_tokens for request in firsts),
            self._num_tokens,
            sum(map(_num_cached, firsts)),
        )

    # Ending

    def cancel(self) -> None:
        """By id: the answer ends with what it has, for the reason "abort"."""
        if self._answers is not None:
            self._answers.abort("cancel")

    def end(self) -> None:
        """Nobody follows any more. Ends in the engine what has not ended."""
        self._service.open.pop((self._tenant, self.id), None)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._answers is not None:
            self._answers.abort("disconnect")


def _checked_id(request_id: str | None) -> str:
    if request_id is None:
        return secrets.token_hex(16)
    if not REQUEST_ID.fullmatch(request_id):
        raise invalid("x-request-id", "x-request-id must be 8 to 64 letters, digits, - or _")
    return request_id


def _as_text(engine: AsyncEngine, prompt: str | list[int]) -> str:
    if isinstance(prompt, str):
        return prompt
    if engine.engine.tokenizer is None:
        raise invalid("echo", "echo of token ids needs a tokenizer, and this model has none")
    return Detokenizer(engine.engine.tokenizer).decode(prompt)


def _num_cached(request: Request) -> int:
    return request.num_cached_tokens
