"""The online softmax by hand: five keys in pages of two, one number each, and what is kept after each page."""

import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch14_naive as naive

SCORES = np.log([2.0, 4.0, 8.0, 1.0, 16.0])  # so that exp of them is easy
VALUES = np.array([10.0, 20.0, 30.0, 40.0, 50.0])

if __name__ == "__main__":
    m, total, o = -np.inf, 0.0, 0.0
    for begin in range(0, 5, 2):
        scores, values = SCORES[begin : begin + 2], VALUES[begin : begin + 2]
        new_m = max(m, scores.max())
        weights, correction = np.exp(scores - new_m), np.exp(m - new_m)
        print(f"page {begin // 2}: weights {weights}, what was there times {correction:g}")
        total, o, m = total * correction + weights.sum(), o * correction + weights @ values, new_m
        print(f"        m = log {np.exp(m):g}, total = {total:g}, o = {o:g}, o / total = {o / total:.6f}")
    weights = np.exp(SCORES)
    print(f"all at once: {weights @ VALUES / weights.sum():.6f}")
    pages = [(SCORES[i : i + 2, None], VALUES[i : i + 2, None]) for i in range(0, 5, 2)]
    print(f"online_attention: {naive.online_attention(np.ones(1), pages)[0]:.6f}")
