"""Exercise 2: positions as a penalty on distance (ALiBi), from the ops that are there.

    softmax(q k^T / sqrt(D) + bias) v,   bias[t, s] = -slope * (t - s) for s <= t, -inf for s > t

for one head. Build it as an expression: no new op is needed. Two slopes must share one compiled function, so
the slope has to be data and not structure.

    python3 exercises/check.py 2
"""

import numpy as np

import ch13_gpt as gpt


def alibi_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, slope: float) -> gpt.Tensor:
    # TODO: this is causal attention that knows no distance.
    return gpt.causal_attention(q, k, v)
