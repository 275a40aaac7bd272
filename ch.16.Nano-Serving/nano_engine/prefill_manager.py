"""Who is admitted, and which part of which prompt is read in this step.

Admission is by arrival: nobody overtakes the first in the queue, so nobody waits forever. It is optimistic: a request
starts when there is room for the tokens it has, not for those it may write. If too many started, the youngest is
preempted (RequestPool.grow) and is the first in the queue again.
"""

from .batch import Chunk
from .chunked_prefill import Budget, split_budget
from .request import RequestState
from .request_pool import RequestPool


class PrefillManager:
    def __init__(self, requests: RequestPool, max_chunk_size: int | None, max_batch_size: int):
        self.requests = requests
        self.max_chunk_size = max_chunk_size
        self.max_batch_size = max_batch_size

    # [admit]
    def admit(self) -> None:
        """Starts waiting requests in order of arrival, while there is room for the next one."""
        pool = self.requests
        while pool.waiting and len(pool.running) < self.max_batch_size:
            first = next(iter(pool.waiting.values()))
            try:
                if not pool.start(first):
                    break
            except Exception as failure:
                pool.finish(first, "error", f"it could not start: {failure}")

    # [/admit]
    # [schedule]
    def schedule(self, num_decodes: int) -> list[Chunk]:
        """Prompt chunks for what the decodes leave of the step's budget, and for one token at least."""
        budget = Budget.of(self.max_chunk_size, num_decodes, len(self.requests.running))
        chunks = split_budget(self._prefilling(), budget)
        return [chunk for chunk in chunks if self.requests.ready(chunk, RequestState.PREFILL)]

    def _prefilling(self):
        """Running requests that still read, each with whatever others have read for it by now."""
        for request in self.requests.running.values():
            if request.state is RequestState.PREFILL:
                self.requests.radix.reuse(request)
                yield request

    # [/schedule]
