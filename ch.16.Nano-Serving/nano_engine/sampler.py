"""How the next token of each row of a batch is chosen from its logits.

A row, its parameters, the tokens before it, the seed and the position decide the outcome, and nothing else: there is
no generator with a state that other requests advance, and no operation mixes two rows. So a seeded answer is the same
in any batch. The draw is ch.13's: one number for (seed, position), looked up in the sum of the weights.

Weights are float32 and their sums float64. Rows are weighed together in a table, as many as fit the second-level
cache: all 32 of a small vocabulary, whose cost is in the calls, and one of 50,257. The table is the sampler's own: a
fresh array of that size comes page by page from the system, each time.
"""

import math
from typing import NamedTuple

import numpy as np

from ch16_nano_serving import draw, sums, uniforms

from .request import Request
from .sampling import SamplingParams

TABLE = 2**16  # weights that are worked on at a time
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
        self._table = np.empty((max(1, TABLE // vocab_size), vocab_size), np.float32)

    # [choose]
    def choose(self, logits: np.ndarray, requests: list[Request]) -> list[Choice]:
        """One choice for each row of `logits` float32 [R, vocab], the next token of requests[r]."""
        if not len(requests):
            return []
        tops = logits.max(axis=1)  # NaN where a logit of the row is
        choices = [Choice(token) for token in logits.argmax(axis=1).tolist()]
        drawn, noted = [], []
        for r, (top, request) in enumerate(zip(tops.tolist(), requests, strict=True)):
            params = request.params
            if not math.isfinite(top):
                position = request.num_tokens
                sentence = f"the logits of position {position} are not finite: their maximum is {top}"
                choices[r] = Choice(None, error=sentence)
                continue
            if params.temperature > 0 or params.changes_logits:
                drawn.append(r)
            if params.logprobs is not None:
                noted.append(r)
        for rows in self._groups(drawn):
            for r, choice in zip(rows, self._choose_some(logits, rows, [requests[r] for r in rows])):
                choices[r] = choice
        for rows in self._groups([r for r in noted if not choices[r].error]):
            for r, log_sum in zip(rows, self._log_sums(logits, rows, tops[rows])):
                choices[r] = _noted(choices[r].token, logits[r], log_sum, requests[r].params.logprobs)
        return choices

    # [/choose]
    def _groups(self, rows: list[int]) -> list[list[int]]:
        """As many rows at a time as the table has."""
        size = len(self._table)
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def _filled(self, logits: np.ndarray, rows: list[int]) -> np.ndarray:
        """The table with these rows of logits. (NumPy's take would copy all of them first: they may be padded.)"""
        table = self._table[: len(rows)]
        for row, r in zip(table, rows):
            row[:] = logits[r]
        return table

    # [choose-some]
    def _choose_some(self, logits: np.ndarray, rows: list[int], requests: list[Request]) -> list[Choice]:
        """The choices of rows that are drawn for, or whose logits change: as many as the table has at most."""
        table = self._filled(logits, rows)
        for row, request in zip(table, requests):
            if request.params.changes_logits:
                self._adjust(row, request)
        tops = table.max(axis=1)
        certain = {}
        for i, (request, top) in enumerate(zip(requests, tops.tolist())):
            if not math.isfinite(top):
                position = request.num_tokens
                sentence = f"penalties and logit_bias leave position {position} no token to choose"
                certain[i] = Choice(None, error=sentence)
            elif request.params.temperature == 0:
                certain[i] = Choice(int(table[i].argmax()))
        if len(certain) == len(rows):
            return list(certain.values())
        columns, weights = self._weigh(table, tops, [request.params for request in requests])
        tokens = draw(weights, uniforms([r.seed for r in requests], [r.num_tokens for r in requests]))
        if columns is not None:
            tokens = columns[tokens].tolist()
        return [certain.get(i) or Choice(token) for i, token in enumerate(tokens)]

    # [/choose-some]

    # Logits

    # [adjust]
    def _adjust(self, row: np.ndarray, request: Request) -> None:
        """The penalties, the biases, and no end before min_tokens, in place."""
        params = request.params
        if params.repetition_penalty != 1:
            seen = np.unique(request.prompt_tokens + request.output_tokens)
            logits = row[seen]
            row[seen] = np.where(
                logits > 0, logits / params.repetition_penalty, logits * params.repetition_penalty
            )
        if params.presence_penalty or params.frequency_penalty:
            written, counts = np.unique(np.array(request.output_tokens, np.int64), return_counts=True)
            row[written] -= params.presence_penalty + params.frequency_penalty * counts
        for token, bias in params.logit_bias:
            row[token] += bias
        if len(request.output_tokens) < params.min_tokens:
            row[list(params.stop_token_ids)] = -np.inf
            if self.eos_token_id is not None and not params.ignore_eos:
                row[self.eos_token_id] = -np.inf

    # [/adjust]

    # Weights
    # [weigh]
    def _weigh(
        self, table: np.ndarray, tops: np.ndarray, params: list[SamplingParams]
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Turns rows of logits into (columns, weights): probabilities times some number; the likeliest has 1.

        What a filter leaves out has weight 0. Of a table of one row it is not carried along: after top_k=50 there are
        50 columns and not 50,257; columns None are all. (Rows that share a table must not: a sum would be rounded
        by what its neighbours keep.)
        """
        columns = None
        for k in {p.top_k for p in params if p.top_k is not None and p.top_k < table.shape[1]}:
            # The k likeliest, and those equal to the last of them: no order among equals is made up.
            rows = [i for i, p in enumerate(params) if p.top_k == k]
            smallest = np.partition(table[rows], -k, axis=1)[:, -k, None]
            if len(self._table) == 1:
                columns = np.flatnonzero(table[0] >= smallest[0])
                table = table[:, columns]
            else:
                table[rows] = np.where(table[rows] >= smallest, table[rows], -np.inf)
        temperatures = np.array([p.temperature or 1 for p in params], np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            # -inf from extreme logits or temperatures: exp makes 0. NaN only where no token is left to choose.
            np.subtract(table, tops[:, None], out=table)
            np.divide(table, np.maximum(temperatures, SMALLEST_TEMPERATURE)[:, None], out=table)
            np.exp(table, out=table)
        rows = [i for i, p in enumerate(params) if p.top_p < 1]
        if rows:
            found, kept = self._nucleus(table[rows], np.array([params[i].top_p for i in rows]))
            if len(self._table) == 1:
                columns, table = found if columns is None else columns[found], kept
            else:
                table[rows] = 0
                table[np.ix_(rows, found)] = kept
        if any(p.min_p > 0 for p in params):
            table[table < np.array([p.min_p for p in params], np.float32)[:, None]] = 0
        return columns, table

    # [/weigh]

    # [nucleus]
    def _nucleus(self, table: np.ndarray, top_p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(columns, weights): the largest of each row that make up `top_p` of its sum; of equal ones, the first."""
        targets = top_p * np.array(sums(table))
        # Sorting is what costs, and nearly always a few large weights are enough.
        for floor in (1e-2, 1e-4, 0):
            high = table >= floor
            if len(table) == 1:
                columns = np.flatnonzero(high[0])
                large = table[:, columns]
            else:
                columns, large = np.arange(table.shape[1]), table * high
            descending = np.sort(large, axis=1)[:, ::-1]
            mass = descending.cumsum(axis=1, dtype=np.float64)
            if (mass[:, -1] >= targets).all():
                break
        last = np.array([min(int(m.searchsorted(t)), columns.size - 1) for m, t in zip(mass, targets)])
        smallest = descending[np.arange(len(last)), last][:, None]
        kept = large >= smallest
        num_too_many = np.count_nonzero(kept, axis=1) - (last + 1)  # of those that equal the smallest
        for row in np.flatnonzero(num_too_many):
            kept[row, np.flatnonzero(large[row] == smallest[row])[-num_too_many[row] :]] = False
        return columns, np.multiply(large, kept, out=large)

    # [/nucleus]

    # Log-probabilities

    def _log_sums(self, logits: np.ndarray, rows: list[int], tops: np.ndarray) -> list[float]:
        """The logarithm of the sum of exp(logits) for each of `rows`, as many as the table has at most."""
        table = self._filled(logits, rows)
        np.exp(np.subtract(table, tops[:, None], out=table), out=table)
        return [top + math.log(total) for top, total in zip(tops.tolist(), sums(table))]


def _noted(token: int, row: np.ndarray, log_sum: float, num_top: int) -> Choice:
    """The choice of `token` with its log-probability and those of the `num_top` likeliest."""
    num, best = min(num_top, row.size), []
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
