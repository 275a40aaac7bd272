"""Text from a GPT-2, one token at a time, everything computed anew for each.

    ids --next_logits--> [V] --choose--> id --append--> ids ...

This is the honest baseline: token t costs as much as a text of t tokens. ch.14 keeps the keys and values
instead, and must write the same tokens.
"""

import functools
import math
import secrets

import numpy as np

from ch13_gpt2 import check_ids, next_logits
from ch13_weights import GPT2Weights, load_gpt2_weights


@functools.lru_cache(maxsize=1)
def bundled_weights() -> GPT2Weights:
    return load_gpt2_weights()


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


# [generate-ids]
def generate_ids(
    weights: GPT2Weights,
    ids,
    max_tokens: int = 50,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int | None = None,
) -> list[int]:
    """The ids that follow `ids`: up to `max_tokens`, fewer at the end of the text or of the model's positions.

    The end-of-text id is not part of the result. The same seed gives the same ids.
    """
    check_sampling(max_tokens, temperature, top_k, seed)
    ids = check_ids(weights, ids).tolist()
    if seed is None:
        seed = secrets.randbits(64)
    new_ids: list[int] = []
    # The last position may be read from, so a full text still has one token to come.
    while len(new_ids) < max_tokens and len(ids) <= weights.config.n_positions:
        chosen = choose(next_logits(weights, ids), temperature, top_k, seed, position=len(ids))
        if chosen == weights.config.eos_token_id:
            break
        ids.append(chosen)
        new_ids.append(chosen)
    return new_ids


# [/generate-ids]


def generate(
    prompt: str,
    max_tokens: int = 50,
    temperature: float = 0.0,
    top_k: int | None = None,
    seed: int | None = None,
    weights: GPT2Weights | None = None,
) -> str:
    """The text that follows `prompt`. `weights=None` is the bundled Shakespeare model."""
    if not isinstance(prompt, str):
        raise TypeError(f"prompt: expected a string, got {type(prompt).__name__}")
    weights = bundled_weights() if weights is None else weights
    if not isinstance(weights, GPT2Weights):
        raise TypeError(f"weights: expected a GPT2Weights, got {type(weights).__name__}")
    if weights.tokenizer is None:
        raise ValueError("weights: the model came without a tokenizer.json; use generate_ids")
    ids = weights.tokenizer.encode(prompt).ids
    if not 1 <= len(ids) <= weights.config.n_positions:
        raise ValueError(
            f"prompt: expected 1 to n_positions = {weights.config.n_positions} tokens, got {len(ids)}"
        )
    return weights.tokenizer.decode(generate_ids(weights, ids, max_tokens, temperature, top_k, seed))


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
