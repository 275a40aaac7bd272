"""The engine's sampling parameters of a body, within the operator's limits."""

import dataclasses
import re

from ..sampling import SamplingParams
from .errors import invalid
from .limits import Limits
from .protocol import SamplingBody

# The fields whose name and meaning are the engine's own.
SAMPLING_FIELDS = (
    "frequency_penalty",
    "ignore_eos",
    "min_p",
    "min_tokens",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "stop_token_ids",
    "temperature",
    "top_k",
    "top_p",
)
# All that an engine's refusal may name; what it says of anything else is about the prompt.
ENGINE_FIELDS = (*SAMPLING_FIELDS, "logit_bias", "logprobs", "max_tokens")


def at_most(param: str, what: str, num: int, limit: int) -> None:
    if num > limit:
        raise invalid(param, f"{param} has {num} {what}; at most {limit} are allowed")


def sampling_params(
    body: SamplingBody,
    limits: Limits,
    max_tokens: int,
    logprobs: int | None,
    logprobs_field: str = "logprobs",
) -> SamplingParams:
    """The engine's parameters of a body, within the operator's limits."""
    if (body.n or 1) > limits.max_n:
        raise invalid("n", f"n must be at most {limits.max_n}, got {body.n}")
    if (logprobs or 0) > limits.max_logprobs:
        raise invalid(
            logprobs_field, f"{logprobs_field} must be at most {limits.max_logprobs}, got {logprobs}"
        )
    for text in body.stop or []:
        at_most("stop", "characters in one text", len(text), limits.max_stop_chars)
    at_most("stop", "texts", len(body.stop or []), limits.max_stop)
    at_most("stop_token_ids", "tokens", len(body.stop_token_ids or []), limits.max_stop_token_ids)
    at_most("logit_bias", "tokens", len(body.logit_bias or {}), limits.max_logit_bias)
    given = {name: getattr(body, name) for name in SAMPLING_FIELDS if getattr(body, name) is not None}
    if body.logit_bias is not None:
        given["logit_bias"] = {int(token): bias for token, bias in body.logit_bias.items()}
    try:
        return SamplingParams(**{"temperature": 1.0, "max_tokens": max_tokens, "logprobs": logprobs} | given)
    except (ValueError, TypeError) as failure:
        raise invalid(re.match(r"\w*", str(failure)).group(), str(failure)) from None


def nth(params: SamplingParams, k: int) -> SamplingParams:
    """The parameters of the k-th answer to a prompt: a seed of its own, counted from the one given."""
    if params.seed is None or k == 0:
        return params
    return dataclasses.replace(params, seed=params.seed + k)
