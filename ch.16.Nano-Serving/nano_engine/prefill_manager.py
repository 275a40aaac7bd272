"""Who is admitted, and which part of which prompt is read in this step.

Admission is by arrival and by the worst case: a request starts when the pages for its whole prompt and all
the tokens it may write are free. So a running request never waits for memory, none is ever thrown out, and
since each step brings each decode, and the oldest prompt, forward, all that run end; then the first in the
queue has its turn. Nobody overtakes it, so nobody waits forever. The price is memory set aside that a
request which stops early never uses.
"""

from .batch import Chunk
from .chunked_prefill import split_budget
from .request import RequestState
from .request_pool import RequestPool


class PrefillManager:
    def __init__(self, requests: RequestPool, max_chunk_size: int, max_batch_size: int):
        self.requests = requests
        self.max_chunk_size = max_chunk_size
        self.max_batch_size = max_batch_size

    # [admit]
    def admit(self) -> None:
        """Starts waiting requests in order of arrival, while there is room for the next one."""
        pool = self.requests
        while pool.waiting and len(pool.running) < self.max_batch_size:
            first = next(iter(pool.waiting.values()))
            if not pool.can_start(first):
                if not pool.running:  # it fits an empty cache: the engine has checked that
                    raise RuntimeError(
                        f"nothing runs, and yet {pool.kv_pool!r}: pages are held outside the engine"
                    )
                break
            pool.start(first)

    # [/admit]
    def schedule(self, num_decodes: int) -> list[Chunk]:
        """Prompt chunks for what the decodes leave of the step's budget, and for one token at least."""
        prefilling = [r for r in self.requests.running.values() if r.state is RequestState.PREFILL]
        return split_budget(prefilling, max(1, self.max_chunk_size - num_decodes))
