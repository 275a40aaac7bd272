"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution of exercise 1 or 2 (without it, the stub beside this script). Exits with 0 when it is solved.
"""

import pathlib
import subprocess
import sys
from types import ModuleType

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import numpy as np

import chapters

import ch14_gpt_optimized as gpt
from ch13_weights import GPT2Config, GPT2Weights

FOLDER = pathlib.Path(__file__).resolve().parent
CONFIG = GPT2Config(29, 2, 2, 8, 24, 8)


def model() -> gpt.GPT2:
    return gpt.GPT2(GPT2Weights.random(CONFIG, seed=1), page_size=4)


def fork(solution: ModuleType) -> None:
    """1: two continuations of one text."""
    for length in (1, 4, 7, 10):
        ids = np.random.default_rng(length).integers(0, 29, length).tolist()
        m = model()
        m.prefill([ids, [3, 1, 4]])
        pages = sum(len(table) for table in m.cache.tables)
        new = solution.fork(m.cache, 0)
        assert new == 2 and m.cache.lengths[new] == length, (
            f"the new sequence is not number 2 of {length} tokens"
        )
        full = length // 4
        shared = m.cache.tables[new][:full] == m.cache.tables[0][:full]
        assert shared, f"after {length} tokens the full pages are not shared"
        used = len({page for table in m.cache.tables for page in table})
        assert used <= pages + 1, f"after {length} tokens a fork takes {used - pages} pages, 1 is enough"
        own, other = [7, 2, 8], [5, 6, 1]
        for a, b in zip(own, other):
            logits = m.decode([a, b], [0, new])
        for row, tail in zip(logits, (own, other)):
            alone = model().prefill([ids + tail])[0]
            assert np.array_equal(row, alone), (
                f"after {length} tokens the continuation {tail} does not have the logits of the whole text"
            )


class Watched:
    """A model that counts the tokens and the logits of each step."""

    def __init__(self, inner: gpt.GPT2):
        self.inner, self.steps = inner, []
        self.config, self.page_size = inner.config, inner.page_size
        self.prefill, self.decode = inner.prefill, inner.decode

    def step(self, tokens, *rest):
        logits = self.inner.step(tokens, *rest)
        self.steps.append((len(tokens), len(logits)))
        return logits


def score(solution: ModuleType) -> None:
    """2: the likelihood of a text."""
    watched = Watched(model())
    for length, chunk in ((2, 64), (9, 64), (24, 5), (24, 1)):
        ids = np.random.default_rng(length).integers(0, 29, length)
        expected = 0.0
        for t in range(length - 1):
            row = model().prefill([ids[: t + 1]])[0].astype(np.float64)
            expected += row[ids[t + 1]] - np.log(np.exp(row).sum())
        watched.steps.clear()
        found = solution.score(watched, ids, chunk)
        assert abs(found - expected) < 1e-6 * length, (
            f"{length} tokens: the score is {found:.4f}, expected {expected:.4f}"
        )
        tokens, rows = (sum(parts) for parts in zip(*watched.steps))
        assert max(count for count, _ in watched.steps) <= chunk, f"a step has more than {chunk} tokens"
        assert tokens <= length, f"{tokens} tokens were computed for a text of {length}"
        assert rows == length - 1, f"{rows} rows of logits were computed, {length - 1} are used"


def relu(_solution: None) -> None:
    """3: an epilogue, in TableGen and C++."""
    file = FOLDER / "3_relu.mlir"
    tool = chapters.build_folder(FOLDER.parent) / "ch14-opt"
    options = ["--ch14-expand-kernels=lanes=16", "--split-input-file", "--verify-diagnostics"]
    done = subprocess.run([tool, *options, file], capture_output=True, text=True)
    assert "was not produced" not in done.stderr, "gelu and relu together are accepted"
    assert done.returncode == 0, done.stderr
    try:
        chapters.filecheck(done.stdout, file.read_text())
    except AssertionError as error:
        raise AssertionError("no maximum between the sum and the store") from error


EXERCISES = {"1": (fork, "1_fork.py"), "2": (score, "2_score.py"), "3": (relu, None)}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, load=chapters.run_script))
