"""What is answered, in the shape of OpenAI's two APIs. Pure functions of text and numbers; no request is seen.

Both have `whole` for one JSON object, and `chunk` for an event of a stream; a chunk of a stream that was asked
for usage has "usage": null but in the last.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from ..sampler import TokenLogprobs
from .logprobs import LogprobsWriter


class Usage(NamedTuple):
    num_prompt_tokens: int  # each prompt counted once, however many answers it has
    num_completion_tokens: int
    num_cached_tokens: int  # of the prompt tokens: read from the prefix cache instead of being computed

    def json(self) -> dict:
        return {
            "prompt_tokens": self.num_prompt_tokens,
            "completion_tokens": self.num_completion_tokens,
            "total_tokens": self.num_prompt_tokens + self.num_completion_tokens,
            "prompt_tokens_details": {"cached_tokens": self.num_cached_tokens},
        }


class Choice(NamedTuple):
    index: int
    text: str
    finish_reason: str | None
    logprobs: dict | None = None


class Shape:
    """One response: its id, and which model answers."""

    prefix: str  # of the id
    whole_object: str
    chunk_object: str

    def __init__(self, request_id: str, model: str):
        self.id = f"{self.prefix}-{request_id}"
        self._model = model
        self._created = int(time.time())

    def whole(self, choices: list[Choice], usage: Usage) -> dict:
        return self._frame(self.whole_object, [self._whole_choice(choice) for choice in choices]) | {
            "usage": usage.json()
        }

    def chunk(self, choice: Choice, is_first: bool) -> dict:
        return self._frame(self.chunk_object, [self._chunk_choice(choice, is_first)])

    def usage_chunk(self, usage: Usage) -> dict:
        return self._frame(self.chunk_object, []) | {"usage": usage.json()}

    def _frame(self, kind: str, choices: list[dict]) -> dict:
        return {
            "id": self.id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }

    def logprobs(self, writer: LogprobsWriter, entries: Sequence[TokenLogprobs]) -> dict:
        raise NotImplementedError

    def _whole_choice(self, choice: Choice) -> dict:
        raise NotImplementedError

    def _chunk_choice(self, choice: Choice, is_first: bool) -> dict:
        raise NotImplementedError


class CompletionShape(Shape):
    prefix = "cmpl"
    whole_object = chunk_object = "text_completion"

    def logprobs(self, writer: LogprobsWriter, entries: Sequence[TokenLogprobs]) -> dict:
        return writer.completion(entries)

    def _whole_choice(self, choice: Choice) -> dict:
        return choice._asdict()

    def _chunk_choice(self, choice: Choice, is_first: bool) -> dict:
        return choice._asdict()


class ChatShape(Shape):
    prefix = "chatcmpl"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def logprobs(self, writer: LogprobsWriter, entries: Sequence[TokenLogprobs]) -> dict:
        return writer.chat(entries)

    def _whole_choice(self, choice: Choice) -> dict:
        return {
            "index": choice.index,
            "message": {"role": "assistant", "content": choice.text, "refusal": None},
            "finish_reason": choice.finish_reason,
            "logprobs": choice.logprobs,
        }

    def _chunk_choice(self, choice: Choice, is_first: bool) -> dict:
        delta = {"role": "assistant"} if is_first else {}
        if choice.text or is_first:
            delta["content"] = choice.text
        return {
            "index": choice.index,
            "delta": delta,
            "finish_reason": choice.finish_reason,
            "logprobs": choice.logprobs,
        }
