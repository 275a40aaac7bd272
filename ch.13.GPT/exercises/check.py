"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution of exercise 1 or 2 (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import sys
from types import ModuleType

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters  # finds the build tree

import ch13_gpt as gpt


def top_p(solution: ModuleType) -> None:
    """1: nucleus sampling."""
    probabilities = np.array([0.05, 0.4, 0.1, 0.3, 0.15])
    logits = np.log(probabilities).astype(np.float32)
    for limit, kept in (
        (0.3, [1]),
        (0.5, [1, 3]),
        (0.8, [1, 3, 4]),
        (0.9, [1, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4]),
    ):
        drawn = [solution.choose_top_p(logits, limit, seed=0, position=p) for p in range(4000)]
        assert set(drawn) == set(kept), f"top_p={limit} draws {sorted(set(drawn))}, expected {kept}"
        expected = probabilities[kept] / probabilities[kept].sum()
        found = np.bincount(drawn, minlength=5)[kept] / len(drawn)
        assert np.abs(found - expected).max() < 0.04, f"top_p={limit} draws with frequencies {found}"
    equals = {solution.choose_top_p(np.zeros(4, np.float32), 0.5, 0, p) for p in range(200)}
    assert equals == {0, 1}, f"of four equal tokens, top_p=0.5 must keep 0 and 1; it keeps {sorted(equals)}"


def alibi(solution: ModuleType) -> None:
    """2: attention with a penalty on distance."""
    q, k, v = (np.random.default_rng(i).standard_normal((9, 4)).astype(np.float32) for i in range(3))
    distance = np.arange(9)[:, None] - np.arange(9)
    gpt.clear_cache()
    for slope in (0.25, 0.5):
        scores = q @ k.T / 2 + np.where(distance >= 0, -slope * distance, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        expected = weights / weights.sum(-1, keepdims=True) @ v
        found = gpt.forward(solution.alibi_attention(q, k, v, slope))
        assert np.allclose(found, expected, atol=1e-5), f"slope {slope}: the result is not ALiBi attention"
    misses = gpt.cache_info().misses
    assert misses == 1, f"two slopes took {misses} compiled functions: the slope is part of the structure"


def window(_solution: None) -> None:
    """3: create_causal_mask(T, window), in TableGen and C++."""
    for size, width in ((6, 1), (6, 3), (9, 20)):
        try:
            found = gpt.forward(gpt.create_causal_mask(size, window=width))
        except TypeError as error:
            raise AssertionError("create_causal_mask takes no argument `window` yet") from error
        behind = np.arange(size)[:, None] - np.arange(size)
        expected = np.where((behind >= 0) & (behind < width), 0, -np.inf)
        assert np.array_equal(found, expected), f"the mask of {size} tokens and a window of {width} is wrong"
    assert np.array_equal(gpt.forward(gpt.create_causal_mask(4)), np.triu(np.full((4, 4), -np.inf), 1)), (
        "without a window the mask must stay as it was"
    )
    try:
        gpt.create_causal_mask(4, window=0)
    except ValueError as error:
        assert "window" in str(error), "the error does not name the argument"
    else:
        raise AssertionError("a window of 0 is accepted")


EXERCISES = {"1": (top_p, "1_top_p.py"), "2": (alibi, "2_alibi.py"), "3": (window, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, load=chapters.run_script))
