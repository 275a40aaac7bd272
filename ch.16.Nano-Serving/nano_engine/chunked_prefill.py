"""How a token budget is divided among prompts that are still being read.

A prompt of 900 tokens in one step would make every request that decodes wait for it. So a step reads at
most a budget of prompt tokens, oldest request first, and a prompt that does not fit goes on in the next
step. It owns nothing.
"""

from collections.abc import Iterable

from .batch import Chunk
from .request import Request


# [split]
def split_budget(requests: Iterable[Request], budget: int) -> list[Chunk]:
    """Chunks of the requests' pending tokens, in order, of `budget` tokens together at most."""
    chunks = []
    for request in requests:
        num_tokens = min(request.num_pending_tokens, budget)
        if num_tokens == 0:
            break
        start = request.num_computed_tokens
        chunks.append(Chunk(request, start, start + num_tokens))
        budget -= num_tokens
    return chunks


# [/split]
