"""The fields a request may have. A field that is not here is refused by its name, never ignored.

Types and fixed ranges are checked here, by pydantic; bounds that the operator sets, in exchange.py; what
depends on the model, by the engine.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, field_validator

MAX_INT = 2**63 - 1

# Fields of OpenAI's API that other servers may take. They are named in the refusal as what they are.
UNSUPPORTED_FIELDS = frozenset(
    [
        "audio",
        "best_of",
        "chat_template",
        "function_call",
        "functions",
        "metadata",
        "modalities",
        "parallel_tool_calls",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "store",
        "suffix",
        "tool_choice",
        "tools",
        "verbosity",
        "web_search_options",
    ]
)


def check_prompt(prompt: Any) -> Any:
    """A text, a list of texts, a list of token ids, or a list of such lists."""
    if isinstance(prompt, str):
        return _text(prompt)
    if isinstance(prompt, list) and prompt:
        for part in prompt:
            if type(part) is not type(prompt[0]):
                raise ValueError("all elements must be of one kind: texts, token ids, or lists of token ids")
        if isinstance(prompt[0], str):
            return [_text(text) for text in prompt]
        if _is_int(prompt[0]) or (
            isinstance(prompt[0], list) and all(part and all(map(_is_int, part)) for part in prompt)
        ):
            return prompt
    raise ValueError(
        "must be a text, a list of texts, a list of token ids, or a list of lists of token ids, and not empty"
    )


def check_stop(stop: Any) -> list[str]:
    """One text or a list of them."""
    texts = [stop] if isinstance(stop, str) else [] if stop is None else stop
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("must be a text or a list of texts, none of them empty")
    return [_text(text) for text in texts]


def check_content(content: Any) -> str:
    """A text, or OpenAI's list of parts, of which only texts are possible here."""
    if isinstance(content, str):
        return _text(content)
    if isinstance(content, list) and content:
        for part in content:
            if (
                not isinstance(part, dict)
                or set(part) != {"type", "text"}
                or part["type"] != "text"
                or not isinstance(part["text"], str)
            ):
                raise ValueError('must be a text or a list of {"type": "text", "text": "…"}')
        return _text("".join(part["text"] for part in content))
    raise ValueError('must be a text or a list of {"type": "text", "text": "…"}')


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        raise ValueError(f"is not valid Unicode text ({failure.reason})") from None
    return text


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _schema(*kinds: dict) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(kinds)} if len(kinds) > 1 else kinds[0])


_STRING = {"type": "string"}
_TOKENS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_TEXTS = {"type": "array", "items": _STRING, "minItems": 1}
_TOKEN_LISTS = {"type": "array", "items": _TOKENS, "minItems": 1}

Prompt = Annotated[Any, PlainValidator(check_prompt), _schema(_STRING, _TEXTS, _TOKENS, _TOKEN_LISTS)]
Stop = Annotated[
    Any,
    PlainValidator(check_stop),
    _schema(
        {"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}
    ),
]
_PART = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": _STRING},
    "required": ["type", "text"],
    "additionalProperties": False,
}
Content = Annotated[
    Any, PlainValidator(check_content), _schema(_STRING, {"type": "array", "items": _PART, "minItems": 1})
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class StreamOptions(Body):
    include_usage: bool = False  # a last chunk with `usage`
    include_batch: bool = False  # ours: each chunk says what it shared its step with


class SamplingBody(Body):
    """What completions and chat have in common. None means the default, as if the field were absent."""

    model: str | None = None
    user: str | None = Field(None, max_length=256)  # who shares a prefix cache, within one API key
    n: int | None = Field(None, ge=1, le=MAX_INT)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    seed: int | None = Field(None, ge=0, le=MAX_INT)
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Not in OpenAI's API; named as vLLM names them.
    top_k: int | None = Field(None, ge=1, le=MAX_INT)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    min_tokens: int | None = Field(None, ge=0, le=MAX_INT)
    stop_token_ids: list[int] | None = None
    ignore_eos: bool | None = None
    # Ours.
    timeout_s: float | None = Field(None, gt=0)

    @field_validator("logit_bias")
    @classmethod
    def _check_bias(cls, bias: dict[str, float] | None) -> dict[str, float] | None:
        for token, value in (bias or {}).items():
            if not (token.isascii() and token.isdecimal() and len(token) < 10):
                raise ValueError(f"a key must be a token id in decimal, got {token[:20]!r}")
            if not -100 <= value <= 100:
                raise ValueError(f"a bias must be between -100 and 100, got {value:g}")
        return bias


class CompletionBody(SamplingBody):
    prompt: Prompt
    max_tokens: int | None = Field(None, ge=1, le=MAX_INT)
    logprobs: int | None = Field(None, ge=0, le=MAX_INT)
    echo: bool | None = None


class Message(Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    name: str | None = None


class ChatBody(SamplingBody):
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, le=MAX_INT)
    max_completion_tokens: int | None = Field(None, ge=1, le=MAX_INT)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_INT)
