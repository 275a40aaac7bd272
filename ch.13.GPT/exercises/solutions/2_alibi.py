"""Exercise 2, solved."""

import numpy as np

import ch13_gpt as gpt


def alibi_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, slope: float) -> gpt.Tensor:
    t = np.arange(len(q))
    distance = t[:, None] - t[None, :]
    bias = np.where(distance >= 0, -slope * distance, -np.inf).astype(np.float32)  # an array: data
    scores = gpt.scale(gpt.matmul(q, gpt.transpose(k)), q.shape[1] ** -0.5)
    return gpt.matmul(gpt.masked_softmax(scores, bias), v)
