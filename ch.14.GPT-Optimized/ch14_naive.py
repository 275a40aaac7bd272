"""The ideas of this chapter in their shortest form, NumPy and nothing clever: what test_naive.py holds the compiled ops
against, and where TUTORIAL.md begins."""

import numpy as np


# [linear]
def linear(x, w, bias, gelu=False, residual=None):
    """Rows [T, K] times weights [K, N]; then a pass over all rows for each thing that is done to them."""
    out = x @ w
    out = out + bias
    if gelu:
        out = 0.5 * out * (1 + np.tanh(np.sqrt(2 / np.pi) * (out + 0.044715 * out**3)))
    if residual is not None:
        out = residual + out
    return out


# [/linear]


# [attention]
def attention(q, keys, values):
    """One head of all rows at once: q, keys, values [T, D]. A matrix [T, T] of scores, half of it for nothing."""
    scores = q @ keys.T / np.sqrt(q.shape[1])
    scores[np.triu_indices(len(q), k=1)] = -np.inf  # the future
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True) @ values


# [/attention]


# [online]
def online_attention(q, pages):
    """One row's attention in one pass over `pages` of (keys, values), each [P, D]: what is kept is m, total and o."""
    m, total, o = -np.inf, 0.0, np.zeros(len(q))
    for keys, values in pages:
        scores = keys @ q / np.sqrt(len(q))
        new_m = max(m, scores.max())
        weights = np.exp(scores - new_m)
        correction = np.exp(m - new_m)
        total = total * correction + weights.sum()
        o = o * correction + weights @ values
        m = new_m
    return o / total


# [/online]
