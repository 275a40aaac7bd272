"""How the next token of each row of a batch is chosen from its logits.

A row, its parameters, the tokens before it, the seed and the position decide the outcome, and nothing else: there is
no generator with a state that other requests advance, and no operation mixes two rows. So a seeded answer is the same
in any batch. The draw is ch.13's: one number for (seed, position), looked up in the sum of the weights.

Weights are float32 and their sums float64. A Sampler owns the memory it works in: a row of 50,257 weights stays in the
second-level cache, whereas a fresh array of that size comes page by page from the system, each time.
"""

import math
from typing import NamedTuple

import numpy as np

from .request import Request
from .sampling import SamplingParams

BLOCK = 256  # weights that are summed at a time, to find the block of the drawn one first
SMALLEST_TEMPERATURE = np.finfo(np.float32).tiny


class TokenLogprobs(NamedTuple):
    """Natural logarithms of the model's own probabilities for one position."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]  # the likeliest (token, logprob), likeliest first


class Choice(NamedTuple):
    """The token chosen for one row, or the sentence that says why there is none."""

    token: int | None
    logprobs: TokenLogprobs | None = None
    error: str | None = None


class Sampler:
    """Chooses tokens for a model of `vocab_size`. Not thread-safe: its memory is used by one call at a time."""

    def __init__(self, vocab_size: int, eos_token_id: int | None = None):
        self.eos_token_id = eos_token_id
        self._adjusted = np.empty(vocab_size, np.float32)
        self._weights = np.empty(vocab_size, np.float32)
        self._block_starts = np.arange(0, vocab_size, BLOCK)
        self._philox = np.random.Philox(0)
        self._philox_state = self._philox.state

    # [choose]
    def choose(self, logits: np.ndarray, requests: list[Request]) -> list[Choice]:
        """One choice for each row of `logits` float32 [R, vocab], the next token of requests[r]."""
        if not len(requests):
            return []
        tops = logits.max(axis=1)  # NaN where a logit of the row is
        likeliest = logits.argmax(axis=1)
        choices = []
        for row, top, best, request in zip(logits, tops.tolist(), likeliest.tolist(), requests, strict=True):
            params = request.params
            if not math.isfinite(top):
                position = request.num_tokens
                sentence = f"the logits of position {position} are not finite: their maximum is {top}"
                choices.append(Choice(None, error=sentence))
            elif params.temperature == 0 and not params.changes_logits:
                choices.append(self._noted(best, row, top, params))
            else:
                choices.append(self._choose_one(row, top, request))
        return choices

    # [/choose]
    def _choose_one(self, row: np.ndarray, top: float, request: Request) -> Choice:
        params, adjusted, adjusted_top = request.params, row, top
        if params.changes_logits:
            adjusted = self._adjust(row, request)
            adjusted_top = adjusted.max()
            if not math.isfinite(adjusted_top):
                return Choice(
                    None,
                    error=f"penalties and logit_bias leave position {request.num_tokens} no token to choose",
                )
        if params.temperature == 0:
            token = int(adjusted.argmax())
        else:
            tokens, weights = self._weigh(adjusted, adjusted_top, params)
            token = self._draw(weights, self._uniform(request.seed, request.num_tokens))
            token = token if tokens is None else int(tokens[token])
        return self._noted(token, row, top, params)

    # Logits

    # [adjust]
    def _adjust(self, row: np.ndarray, request: Request) -> np.ndarray:
        """A copy of `row` with the penalties, the biases, and no end before min_tokens."""
        params, out = request.params, self._adjusted
        np.copyto(out, row)
        if params.repetition_penalty != 1:
            seen = np.unique(request.prompt_tokens + request.output_tokens)
            logits = out[seen]
            out[seen] = np.where(
                logits > 0, logits / params.repetition_penalty, logits * params.repetition_penalty
            )
        if params.presence_penalty or params.frequency_penalty:
            written, counts = np.unique(np.array(request.output_tokens, np.int64), return_counts=True)
            out[written] -= params.presence_penalty + params.frequency_penalty * counts
        for token, bias in params.logit_bias:
            out[token] += bias
        if len(request.output_tokens) < params.min_tokens:
            out[list(params.stop_token_ids)] = -np.inf
            if self.eos_token_id is not None and not params.ignore_eos:
                out[self.eos_token_id] = -np.inf
        return out

    # [/adjust]

    # Weights
    # [weigh]
    def _weigh(
        self, row: np.ndarray, top: float, params: SamplingParams
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """(tokens, weights float32): probabilities times some number; the likeliest has 1. tokens None: all, in order.

        What a filter leaves out is not carried along: after top_k=50 there are 50 numbers and not 50,257.
        """
        tokens = None
        if params.top_k is not None and params.top_k < row.size:
            # The k likeliest, and those equal to the last of them: no order among equals is made up.
            tokens = np.flatnonzero(row >= np.partition(row, -params.top_k)[-params.top_k])
            row = row[tokens]
        with np.errstate(
            over="ignore", under="ignore"
        ):  # -inf from extreme logits or temperatures: exp makes 0
            weights = np.subtract(row, np.float32(top), out=self._weights[: row.size])
            np.divide(weights, max(np.float32(params.temperature), SMALLEST_TEMPERATURE), out=weights)
            np.exp(weights, out=weights)
        for kept in self._filters(params):
            left = kept(weights)
            tokens = left if tokens is None else tokens[left]
            weights = weights[left]
        return tokens, weights

    # [/weigh]
    def _filters(self, params: SamplingParams):
        """Functions from weights to the indices, ascending, of those that stay."""
        if params.top_p < 1:
            yield lambda weights: self._nucleus(weights, params.top_p)
        if params.min_p > 0:
            yield lambda weights: np.flatnonzero(weights >= np.float32(params.min_p))

    # [nucleus]
    def _nucleus(self, weights: np.ndarray, top_p: float) -> np.ndarray:
        """Indices of the largest weights that make up `top_p` of the sum; of equal ones, the first."""
        target = top_p * self._block_sums(weights)[-1]
        # Sorting is what costs, and nearly always a few large weights are enough.
        for floor in (1e-2, 1e-4, 0):
            indices = np.flatnonzero(weights >= floor)
            large = weights[indices]
            descending = np.sort(large)[::-1]
            mass = descending.cumsum(dtype=np.float64)
            if mass[-1] >= target:
                break
        num_kept = min(int(np.searchsorted(mass, target)) + 1, large.size)
        smallest = descending[num_kept - 1]
        kept = large >= smallest
        num_too_many = int(kept.sum()) - num_kept  # of those that equal the smallest
        if num_too_many:
            kept[np.flatnonzero(large == smallest)[-num_too_many:]] = False
        return indices[kept]

    # [/nucleus]

    def _block_sums(self, weights: np.ndarray) -> np.ndarray:
        """Sums of the weights up to the end of each block, float64."""
        starts = self._block_starts[: -(-weights.size // BLOCK)]
        return np.add.reduceat(weights, starts, dtype=np.float64).cumsum()

    # Draws
    # [draw]
    def _draw(self, weights: np.ndarray, uniform: float) -> int:
        """The index where the sum of the weights passes `uniform` times their sum: first its block, then it."""
        sums = self._block_sums(weights)
        target = min(uniform * sums[-1], np.nextafter(sums[-1], 0))
        block = int(np.searchsorted(sums, target, side="right"))
        start = int(self._block_starts[block])
        weights = weights[start : start + BLOCK]
        rest = target - (sums[block - 1] if block else 0)
        index = int(np.searchsorted(weights.cumsum(dtype=np.float64), rest, side="right"))
        if index == weights.size:  # the roundings of the two sums disagree about the last token of the block
            index = int(np.flatnonzero(weights)[-1])
        return start + index

    # [/draw]
    # [uniform]
    def _uniform(self, seed: int, position: int) -> float:
        """ch.13's uniform(seed, position), without making a generator each time."""
        state = self._philox_state
        state["state"]["key"][:] = seed, position
        state["state"]["counter"][:] = 0
        state["buffer_pos"] = 4  # nothing is left over
        self._philox.state = state
        return (int(self._philox.random_raw()) >> 11) * 2.0**-53

    # [/uniform]

    # Log-probabilities

    def _noted(self, token: int, row: np.ndarray, top: float, params: SamplingParams) -> Choice:
        if params.logprobs is None:
            return Choice(token)
        weights = np.exp(np.subtract(row, np.float32(top), out=self._weights), out=self._weights)
        log_sum = top + math.log(self._block_sums(weights)[-1])
        num = min(params.logprobs, row.size)
        best = []
        if num:
            best = np.flatnonzero(row >= np.partition(row, -num)[-num])
            best = best[np.argsort(-row[best], kind="stable")][:num].tolist()  # of equal ones, the first
        likeliest = tuple((other, float(row[other]) - log_sum) for other in best)
        return Choice(token, TokenLogprobs(token, float(row[token]) - log_sum, likeliest))


def sample(
    logits: np.ndarray, params: SamplingParams, seed: int, position: int, eos_token_id: int | None = None
) -> int:
    """The token at `position` after one row of `logits` [vocab], for a text with nothing else known about it.

    ValueError if they are not numbers to choose by (a NaN or an infinity, or nothing but -inf).
    """
    request = Request(0, [0] * position, params, seed, 1)
    (choice,) = Sampler(logits.size, eos_token_id).choose(logits[None], [request])
    if choice.error:
        raise ValueError(choice.error)
    return choice.token
