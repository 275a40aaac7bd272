"""Exercise 1: draw from the likeliest tokens whose probabilities reach a sum ("nucleus" sampling).

Sort the probabilities of all tokens, largest first (of equals the lower id first). Keep the shortest beginning
of that list whose sum is at least top_p; it is never empty. Draw among what is kept, in proportion, with one
number from uniform(seed, position).

    python3 exercises/check.py 1
"""

import numpy as np

from ch13_sampling import uniform


def choose_top_p(logits: np.ndarray, top_p: float, seed: int, position: int) -> int:
    probabilities = np.exp(logits.astype(np.float64) - logits.max())
    probabilities /= probabilities.sum()
    cumulative = probabilities.cumsum()
    # TODO: this draws from all tokens.
    return int(np.searchsorted(cumulative, uniform(seed, position) * cumulative[-1], side="right"))
