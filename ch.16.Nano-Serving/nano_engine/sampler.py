"""How the next token of each row of a batch is chosen from its logits.

A row, its parameters, the tokens before it, the seed and the position decide the outcome, and nothing else: there is
no generator with a state that other requests advance, and no operation sees two rows. So a seeded answer is the same
in any batch. The draw is ch.13's: one number for (seed, position), looked up in the sum of the weights.

What goes over a row is C++ (src/choose.cpp and what it calls): weights in float32, their sums in float64.
"""

import math
from typing import NamedTuple

import numpy as np

from ch16_nano_serving import choose

from .request import Request
from .sampling import SamplingParams


class TokenLogprobs(NamedTuple):
    """Natural logarithms of the model's own probabilities for one position."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # the likeliest (token, logprob), likeliest first


class Choice(NamedTuple):
    """The token chosen for one row, or the sentence that says why there is none."""

    token: int | None
    logprobs: TokenLogprobs | None = None
    error: str | None = None


class Sampler:
    """Chooses tokens for a model whose texts end with `eos_token_id`, if there is one."""

    def __init__(self, eos_token_id: int | None = None):
        self.eos_token_id = eos_token_id

    # [choose]
    def choose(self, logits: np.ndarray, requests: list[Request]) -> list[Choice]:
        """One choice for each row of `logits` float32 [R, vocab], the next token of requests[r]."""
        choices = []
        for request, (token, top, logprob, tops) in zip(
            requests, choose(logits, requests, self.eos_token_id)
        ):
            if token is None:
                choices.append(Choice(None, error=_nothing_to_choose(request.num_tokens, top)))
            elif request.params.logprobs is None:
                choices.append(Choice(token))
            else:
                choices.append(Choice(token, TokenLogprobs(token, logprob, tuple(tops))))
        return choices

    # [/choose]


def _nothing_to_choose(position: int, top: float) -> str:
    if math.isfinite(top):
        return f"penalties and logit_bias leave position {position} no token to choose"
    return f"the logits of position {position} are not finite: their maximum is {top}"


def sample(
    logits: np.ndarray, params: SamplingParams, seed: int, position: int, eos_token_id: int | None = None
) -> int:
    """The token at `position` after one row of `logits` [vocab], for a text with nothing else known about it.

    ValueError if they are not numbers to choose by (a NaN or an infinity, or nothing but -inf).
    """
    request = Request(0, [0] * position, params, seed, 1)
    (choice,) = Sampler(eos_token_id).choose(logits[None], [request])
    if choice.error:
        raise ValueError(choice.error)
    return choice.token
