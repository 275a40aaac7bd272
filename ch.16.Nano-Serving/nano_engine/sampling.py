"""How the next token is chosen: what a caller may ask for, and one function that does it.

A row of logits, the parameters, the seed and the position of the token decide the outcome, and nothing else
does. In particular there is no generator whose state other requests advance: a seeded answer is the same in
any batch.
"""

import dataclasses
import math
import numbers
import operator

import numpy as np

MAX_SEED = 2**64 - 1


class NonFiniteLogits(ValueError):
    """The model returned a row from which no token can be chosen."""


def require_int(name: str, value, low: int, high: int | None = None) -> int:
    """`value` as an int within [low, high]; a sentence that names it otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if number < low or (high is not None and number > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def require_float(name: str, value) -> float:
    """`value` as a finite float; a sentence that names it otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


@dataclasses.dataclass(frozen=True, slots=True)
class SamplingParams:
    """What a request asks for. Checked when it is made, so that a SamplingParams that exists is valid.

    max_tokens      how many tokens to write at most
    temperature     0 is greedy: always the likeliest token, the smallest id among equals
    top_k           draw from the k likeliest tokens (and those equal to the last of them); None: from all
    top_p           draw from the likeliest tokens whose probabilities reach this sum
    seed            repeats a drawn answer exactly; None: a new seed, which the request then shows
    stop_token_ids  tokens that end the answer, beside the model's end-of-text token
    ignore_eos      go on after the model's end-of-text token
    """

    max_tokens: int = 50
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self):
        checked = {
            "max_tokens": require_int("max_tokens", self.max_tokens, 1),
            "temperature": require_float("temperature", self.temperature),
            "top_k": None if self.top_k is None else require_int("top_k", self.top_k, 1),
            "top_p": require_float("top_p", self.top_p),
            "seed": None if self.seed is None else require_int("seed", self.seed, 0, MAX_SEED),
        }
        if checked["temperature"] < 0:
            raise ValueError(f"temperature must be at least 0, got {self.temperature!r}")
        if not 0 < checked["top_p"] <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p!r}")
        if isinstance(self.stop_token_ids, str | bytes) or not hasattr(self.stop_token_ids, "__iter__"):
            raise TypeError(f"stop_token_ids must be a sequence of ints, got {self.stop_token_ids!r}")
        checked["stop_token_ids"] = tuple(
            require_int(f"stop_token_ids[{i}]", token, 0) for i, token in enumerate(self.stop_token_ids)
        )
        if not isinstance(self.ignore_eos, bool):
            raise TypeError(f"ignore_eos must be True or False, got {self.ignore_eos!r}")
        for name, value in checked.items():
            object.__setattr__(self, name, value)


# [uniform]
def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that depends on (seed, position) alone: Philox with the pair as its key."""
    bits = np.random.Philox(key=np.array([seed, position], np.uint64)).random_raw()
    return (int(bits) >> 11) * 2.0**-53


# [/uniform]


# [sample]
def sample(logits: np.ndarray, params: SamplingParams, seed: int, position: int) -> int:
    """The token at `position`, from `logits` [vocab] of the position before it."""
    top = logits.max()
    if not np.isfinite(top):  # a NaN or +inf anywhere, or -inf everywhere
        raise NonFiniteLogits(
            f"the model's logits for position {position} are not finite (their maximum is {top})"
        )
    if params.temperature == 0:
        return int(logits.argmax())

    tokens = None  # the candidates; None: every token
    if params.top_k is not None and params.top_k < logits.size:
        kth_largest = np.partition(logits, -params.top_k)[-params.top_k]
        tokens = np.flatnonzero(logits >= kth_largest)
        logits = logits[tokens]

    # Relative to the largest, so that no temperature, however small, can overflow.
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((logits.astype(np.float64) - top) / params.temperature)

    if params.top_p < 1:
        order = np.argsort(-weights, kind="stable")
        mass = weights[order].cumsum()
        kept = order[: 1 + np.searchsorted(mass, params.top_p * mass[-1])]
        tokens = kept if tokens is None else tokens[kept]
        weights = weights[kept]

    mass = weights.cumsum()
    drawn = np.searchsorted(mass, uniform(seed, position) * mass[-1], side="right")
    drawn = min(int(drawn), mass.size - 1)
    return drawn if tokens is None else int(tokens[drawn])


# [/sample]
