"""What a caller may ask of an answer, checked once, when it is written down.

The draw itself is in sampler.py.
"""

import dataclasses
import math
import numbers
import operator
from collections.abc import Mapping

MAX_SEED = 2**64 - 1
MAX_LOGPROBS = 20
MAX_STOP_STRINGS = 16


def require_int(name: str, value, low: int, high: int | None = None) -> int:
    """`value` as an int within [low, high]; a sentence that names it otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r:.60}") from None
    if number < low or (high is not None and number > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def require_float(name: str, value, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a finite float within [low, high]; a sentence that names it otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r:.60}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not low <= value <= high:
        allowed = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return float(value)


def require_bool(name: str, value) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r:.60}")
    return value


@dataclasses.dataclass(frozen=True, slots=True)
class SamplingParams:
    """What a request asks for. Checked when it is made, so that a SamplingParams that exists is valid.

    max_tokens          how many tokens to write at most
    min_tokens          how many to write at least: no stop and no end of text before that
    temperature         0 is greedy: always the likeliest token, the smallest id among equals
    top_k               draw from the k likeliest tokens (and those equal to the last of them); None: from all
    top_p               of these, from the likeliest whose probabilities reach this sum
    min_p               of these, from those at least this part as likely as the likeliest
    repetition_penalty  divides the positive logits of tokens of the prompt or the answer, multiplies the negative
    presence_penalty    taken off the logit of each token of the answer so far
    frequency_penalty   the same, for each time it is there
    logit_bias          {token: number} added to its logit
    seed                repeats a drawn answer exactly; None: a new seed, which the request then shows
    stop                texts that end the answer (a text or up to 16); the answer's text ends before it
    stop_token_ids      tokens that end the answer, beside the model's end-of-text token
    ignore_eos          go on after the model's end-of-text token
    logprobs            None, or: note the log-probability of each token, and of so many of the likeliest (0 to 20)

    The penalties are those of OpenAI's API (presence, frequency) and of CTRL (Keskar et al., 2019, repetition); top_p
    is from Holtzman et al., 2020, min_p from Nguyen et al., 2024. Log-probabilities are the model's own: of its logits
    as they come, before penalties, bias and temperature.
    """

    max_tokens: int = 50
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    min_tokens: int = 0

    def __post_init__(self):
        checked = {
            "max_tokens": require_int("max_tokens", self.max_tokens, 1),
            "min_tokens": require_int("min_tokens", self.min_tokens, 0),
            "temperature": require_float("temperature", self.temperature, 0),
            "top_k": None if self.top_k is None else require_int("top_k", self.top_k, 1),
            "top_p": require_float("top_p", self.top_p),
            "min_p": require_float("min_p", self.min_p, 0, 1),
            "repetition_penalty": require_float("repetition_penalty", self.repetition_penalty),
            "presence_penalty": require_float("presence_penalty", self.presence_penalty, -2, 2),
            "frequency_penalty": require_float("frequency_penalty", self.frequency_penalty, -2, 2),
            "seed": None if self.seed is None else require_int("seed", self.seed, 0, MAX_SEED),
            "logprobs": (
                None if self.logprobs is None else require_int("logprobs", self.logprobs, 0, MAX_LOGPROBS)
            ),
            "ignore_eos": require_bool("ignore_eos", self.ignore_eos),
            "stop_token_ids": _token_ids(self.stop_token_ids),
            "stop": _texts(self.stop),
            "logit_bias": _biases(self.logit_bias),
        }
        if not 0 < checked["top_p"] <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p!r}")
        if checked["repetition_penalty"] <= 0:
            raise ValueError(f"repetition_penalty must be above 0, got {self.repetition_penalty!r}")
        if checked["min_tokens"] > checked["max_tokens"]:
            raise ValueError(
                f"min_tokens must be at most max_tokens, got {self.min_tokens} and {self.max_tokens}"
            )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def changes_logits(self) -> bool:
        """Whether a row of logits is not drawn from as it comes."""
        return bool(
            self.logit_bias
            or self.repetition_penalty != 1
            or self.presence_penalty
            or self.frequency_penalty
            or self.min_tokens
        )


def _token_ids(tokens) -> tuple[int, ...]:
    if isinstance(tokens, str | bytes) or not hasattr(tokens, "__iter__"):
        raise TypeError(f"stop_token_ids must be a sequence of ints, got {tokens!r:.60}")
    return tuple(require_int(f"stop_token_ids[{i}]", token, 0) for i, token in enumerate(tokens))


def _texts(texts) -> tuple[str, ...]:
    if isinstance(texts, str):
        texts = (texts,)
    if isinstance(texts, bytes) or not hasattr(texts, "__iter__"):
        raise TypeError(f"stop must be a text or a sequence of texts, got {texts!r:.60}")
    texts = tuple(texts)
    if len(texts) > MAX_STOP_STRINGS:
        raise ValueError(f"stop must be at most {MAX_STOP_STRINGS} texts, got {len(texts)}")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"stop[{i}] must be a text, got {text!r:.60}")
        if not text:
            raise ValueError(f"stop[{i}] is empty: it would end every answer before it begins")
    return texts


def _biases(biases) -> tuple[tuple[int, float], ...]:
    if not isinstance(biases, Mapping) and not isinstance(biases, tuple):
        raise TypeError(f"logit_bias must be a dict from tokens to numbers, got {biases!r:.60}")
    pairs = biases.items() if isinstance(biases, Mapping) else biases
    return tuple(
        sorted(
            (
                require_int("a token of logit_bias", token, 0),
                require_float(f"logit_bias[{token!r:.20}]", bias),
            )
            for token, bias in pairs
        )
    )
