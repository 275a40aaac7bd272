"""How the next token is chosen, and nothing about where its logits come from.

A row of logits, the settings, the seed and the position of the token decide the outcome. There is no
generator with a state that other texts advance, so a seeded text is the same whatever ran before or beside it.
"""

import math

import numpy as np


# [uniform]
def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that depends on (seed, position) alone, so no text depends on what ran before it."""
    bits = np.random.Philox(key=np.array([seed, position], np.uint64)).random_raw()
    return (int(bits) >> 11) * 2.0**-53


# [/uniform]


# [choose]
def choose(logits: np.ndarray, temperature: float, top_k: int | None, seed: int, position: int) -> int:
    """The next token id. Temperature 0 takes the likeliest; otherwise one number is drawn for (seed, position)."""
    top = logits.max()
    if not np.isfinite(top):  # a maximum is NaN where any logit is
        raise ValueError(f"the logits of position {position} are not finite: their maximum is {top}")
    if temperature == 0:
        return int(logits.argmax())
    ids = np.arange(logits.size)
    if top_k is not None and top_k < logits.size:
        # The k likeliest, and those equal to the last of them: no order among equals is made up.
        ids = np.flatnonzero(logits >= np.partition(logits, -top_k)[-top_k])
    with np.errstate(over="ignore", under="ignore"):  # -inf from a tiny temperature: exp makes 0 of it
        weights = np.exp((logits[ids].astype(np.float64) - top) / temperature)
    cumulative = weights.cumsum()
    drawn = np.searchsorted(cumulative, uniform(seed, position) * cumulative[-1], side="right")
    return int(ids[min(drawn, ids.size - 1)])


# [/choose]


def check_sampling(max_tokens: int, temperature: float, top_k: int | None, seed: int | None) -> None:
    _check_int("max_tokens", max_tokens, smallest=1)
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)):
        raise TypeError(f"temperature: expected a number, got {type(temperature).__name__}")
    if not math.isfinite(temperature) or temperature < 0:
        raise ValueError(f"temperature: expected a finite number of at least 0, got {temperature}")
    if top_k is not None:
        _check_int("top_k", top_k, smallest=1)
    if seed is not None:
        _check_int("seed", seed, smallest=0)
        if seed >= 2**64:
            raise ValueError(f"seed: expected less than 2**64, got {seed}")


def _check_int(name: str, value: int, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < smallest:
        raise ValueError(f"{name}: expected at least {smallest}, got {value}")
