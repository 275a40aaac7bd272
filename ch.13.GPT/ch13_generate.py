"""Text from a GPT-2, one token at a time, everything computed anew for each.

    ids --next_logits--> [V] --choose--> id --append--> ids ...

This is the honest baseline: token t costs as much as a text of t tokens. ch.14 keeps the keys and values
instead, and must write the same tokens.
"""

import functools
import secrets

from ch13_gpt2 import check_ids, next_logits
from ch13_sampling import check_sampling, choose
from ch13_weights import GPT2Weights, load_gpt2_weights


@functools.lru_cache(maxsize=1)
def bundled_weights() -> GPT2Weights:
    return load_gpt2_weights()


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
