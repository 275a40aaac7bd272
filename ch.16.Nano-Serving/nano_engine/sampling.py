"""What a caller may ask for, and how the next token is chosen accordingly.

The draw itself is ch.13's `choose`: a row of logits, the parameters, the seed and the position of the token decide
it, and no generator has a state that other requests advance. So a seeded answer is the same in any batch, and the
same as that of ch.13 and ch.14. Here it gets top_p, and parameters that are checked once, when they are made.
"""

import dataclasses
import math
import numbers
import operator

import numpy as np

from ch13_sampling import choose

MAX_SEED = 2**64 - 1


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


def sample(logits: np.ndarray, params: SamplingParams, seed: int, position: int) -> int:
    """The token at `position`, from `logits` [vocab] of the position before it.

    ValueError if they are not numbers to choose by (a NaN or an infinity, or nothing but -inf).
    """
    if params.top_p < 1 and params.temperature > 0 and np.isfinite(logits.max()):
        logits = nucleus(logits, params)
    return choose(logits, params.temperature, params.top_k, seed, position)


def nucleus(logits: np.ndarray, params: SamplingParams) -> np.ndarray:
    """`logits` with -inf for all but the likeliest tokens whose probabilities reach top_p.

    The probabilities are those among the top_k.
    """
    candidates = np.arange(logits.size)
    if params.top_k is not None and params.top_k < logits.size:
        candidates = np.flatnonzero(logits >= np.partition(logits, -params.top_k)[-params.top_k])
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((logits[candidates].astype(np.float64) - logits.max()) / params.temperature)
    order = np.argsort(-weights, kind="stable")  # equal weights: the smaller id first
    mass = weights[order].cumsum()
    kept = candidates[order[: 1 + np.searchsorted(mass, params.top_p * mass[-1])]]
    left = np.full_like(logits, -np.inf)
    left[kept] = logits[kept]
    return left
