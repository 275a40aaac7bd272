"""What is asked, and when: lists of arrivals, the same for the same seed.

An arrival may follow another, as the turns of a chat do: it is asked some time after the other's answer, and its
prompt is the other's prompt and answer and some tokens more.
"""

import dataclasses
import json
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """A request of a workload. time_s: seconds after the start or, if it follows another, after that one's answer."""

    time_s: float
    prompt_tokens: tuple[int, ...]
    max_tokens: int
    follows: int | None = None  # index of the arrival whose conversation this goes on with


def poisson_times(num: int, rate_per_s: float, rng: np.random.Generator) -> list[float]:
    """Arrivals that know nothing of each other: the gaps between them are exponential. Rate 0: all at once."""
    return np.cumsum(rng.exponential(1 / rate_per_s, num)).tolist() if rate_per_s else [0.0] * num


def _tokens(rng: np.random.Generator, num: int, vocab_size: int) -> tuple[int, ...]:
    return tuple(rng.integers(0, vocab_size, num).tolist())


# [shared-prefix]
def shared_prefix(num, rate_per_s, vocab_size, max_seq_len, seed=0) -> list[Arrival]:
    """A few long system prompts, and many short questions after them."""
    rng = np.random.default_rng(seed)
    systems = [_tokens(rng, min(512, max_seq_len // 2), vocab_size) for _ in range(4)]
    return [
        Arrival(time_s, systems[rng.integers(4)] + _tokens(rng, int(rng.integers(8, 33)), vocab_size), 16)
        for time_s in poisson_times(num, rate_per_s, rng)
    ]


# [/shared-prefix]
def mixed(num, rate_per_s, vocab_size, max_seq_len, seed=0) -> list[Arrival]:
    """Three short requests for each long one: prompts of 16 to 48 tokens, and of half to nine tenths of the model."""
    rng = np.random.default_rng(seed)
    arrivals = []
    for i, time_s in enumerate(poisson_times(num, rate_per_s, rng)):
        low, high = (16, 49) if i % 4 else (max_seq_len // 2, max_seq_len * 9 // 10)
        arrivals.append(Arrival(time_s, _tokens(rng, int(rng.integers(low, high)), vocab_size), 32))
    return arrivals


def chat(num, rate_per_s, vocab_size, max_seq_len, seed=0) -> list[Arrival]:
    """Conversations of up to 8 turns; a turn comes 50 ms after the answer to the one before."""
    rng = np.random.default_rng(seed)
    turns = min(8, num)
    arrivals = []
    for time_s in poisson_times(-(-num // turns), rate_per_s / turns if rate_per_s else 0, rng):
        arrivals.append(Arrival(time_s, _tokens(rng, 64, vocab_size), 24))
        for _ in range(min(turns, num - len(arrivals) + 1) - 1):
            arrivals.append(Arrival(0.05, _tokens(rng, 24, vocab_size), 24, follows=len(arrivals) - 1))
    return arrivals


def trace(path: str, vocab_size: int, max_seq_len: int, seed=0) -> list[Arrival]:
    """Arrivals from a file, one JSON object a line: {"time_s": 0.5, "prompt_tokens": 120, "max_tokens": 40}.

    The prompt is a number of tokens, or a list of them. Numbers that follow are drawn: a trace of lengths is enough.
    """
    rng = np.random.default_rng(seed)
    arrivals = []
    for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
        try:
            entry = json.loads(line)
            prompt, max_tokens = entry["prompt_tokens"], int(entry["max_tokens"])
            if isinstance(prompt, int):
                prompt = _tokens(rng, prompt, vocab_size)
            if not 1 <= len(prompt) <= max_seq_len - max_tokens:
                raise ValueError(f"{len(prompt)} + {max_tokens} tokens; the model has room for {max_seq_len}")
            arrivals.append(Arrival(float(entry["time_s"]), tuple(prompt), max_tokens))
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{path}, line {number}: {type(problem).__name__}: {problem}") from None
    if not arrivals:
        raise ValueError(f"{path} holds no arrivals")
    return sorted(arrivals, key=lambda arrival: arrival.time_s)


WORKLOADS = {"shared-prefix": shared_prefix, "mixed": mixed, "chat": chat}
