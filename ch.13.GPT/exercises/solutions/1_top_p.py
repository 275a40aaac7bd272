"""Exercise 1, solved."""

import numpy as np

from ch13_sampling import uniform


def choose_top_p(logits: np.ndarray, top_p: float, seed: int, position: int) -> int:
    probabilities = np.exp(logits.astype(np.float64) - logits.max())
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    cumulative = probabilities[order].cumsum()
    count = min(1 + np.searchsorted(cumulative, top_p), order.size)
    drawn = np.searchsorted(cumulative[:count], uniform(seed, position) * cumulative[count - 1], side="right")
    return int(order[min(drawn, count - 1)])
