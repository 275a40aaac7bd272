"""How much of the prompts a step reads, and how that is divided among those that are still being read.

A prompt of 900 tokens in one step would make every request that decodes wait for it. So a step reads at
most a budget of prompt tokens, oldest request first, and a prompt that does not fit goes on in the next
step. It owns nothing.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from .batch import Chunk
from .request import Request

MAX_TOKENS = 512  # beyond it a step gains nothing from being longer
MIN_WORK = 16  # below it a step costs hardly less
LENGTH = 512  # the position at which attention costs a token as much as all the rest


# [budget]
class Budget(NamedTuple):
    """What a step may read of prompts: so many tokens, of which one at position p counts as 1 + p / length."""

    num_tokens: int
    length: float = math.inf

    @classmethod
    def of(cls, max_chunk_size: int | None, num_decodes: int, num_running: int) -> "Budget":
        """For a step in which `num_decodes` of `num_running` requests decode.

        With a max_chunk_size, what the decodes leave of it, and one token at least. With None, two for each request
        that runs, which makes a step some two to two and a half times as long as its decodes alone; and many while
        nobody decodes, who would have to wait.
        """
        if max_chunk_size is not None:
            return cls(max(1, max_chunk_size - num_decodes))
        if not num_decodes:
            return cls(MAX_TOKENS)
        return cls(max(MIN_WORK, 2 * num_running), LENGTH)


# [/budget]
# [split]
def split_budget(requests: Iterable[Request], budget: Budget) -> list[Chunk]:
    """Chunks of the requests' pending tokens, in order, within `budget` together; the first has a token at least."""
    chunks, left = [], float(budget.num_tokens)
    for request in requests:
        start, num_pending = request.num_computed_tokens, request.num_pending_tokens
        each = 1 + start / budget.length
        num_tokens = min(num_pending, max(int(left / each), int(not chunks)))
        if num_tokens:
            chunks.append(Chunk(request, start, start + num_tokens))
        if num_tokens < num_pending:
            break
        left -= num_tokens * each
    return chunks


# [/split]
