"""One tick of the engine: choose, run, read the result.

Requests join and leave between any two ticks; nobody waits for a batch to be full or to be over. How much
a tick reads, the decodes and the prefills say. It is not thread-safe: the engine calls it under its lock.
"""

import numpy as np

from .batch import Batch, Chunk
from .decode_manager import DecodeManager
from .executor import ModelExecutor
from .prefill_manager import PrefillManager
from .request_pool import RequestPool
from .sampler import Sampler


class ContinuousBatcher:
    def __init__(
        self,
        requests: RequestPool,
        prefills: PrefillManager,
        decodes: DecodeManager,
        executor: ModelExecutor,
        sampler: Sampler,
    ):
        self.requests = requests
        self.prefills = prefills
        self.decodes = decodes
        self.executor = executor
        self.sampler = sampler
        self.num_steps = 0

    # [step]
    def step(self) -> list[Chunk]:
        """Advances the running requests; returns what was read, and [] if there was nothing to do."""
        self.prefills.admit()
        chunks = self.decodes.schedule()
        chunks += self.prefills.schedule(num_decodes=len(chunks))
        # Pages for an older request may have cost a younger one its own, after it had been scheduled.
        chunks = [chunk for chunk in chunks if chunk.request.id in self.requests.running]
        if not chunks:
            return []

        try:
            batch = Batch.build(chunks, self.requests.kv_pool.page_size)
            self._read(batch, self.executor.run(batch))
        except BaseException as failure:
            self._fail(chunks, failure)
            if not isinstance(failure, Exception):  # Ctrl-C and the like are the caller's
                raise
        return chunks

    # [/step]
    def _read(self, batch: Batch, logits: np.ndarray) -> None:
        """Marks what is in the cache now, and chooses a token for each request that has reached its end."""
        self.num_steps += 1
        num_requests = len(batch.chunks)
        for request, _, stop in batch.chunks:
            request.num_computed_tokens = stop
            request.num_steps += 1
            request.sum_batch_sizes += num_requests
            request.max_batch_size = max(request.max_batch_size, num_requests)
        for request, choice in zip(batch.sampled, self.sampler.choose(logits, batch.sampled), strict=True):
            if choice.error:
                self.requests.radix.forget(request)
                self.requests.finish(request, "error", choice.error)
            else:
                self.decodes.accept(request, choice)
        for request, start, stop in batch.chunks:  # what decodes write is kept when they end
            if stop - start > 1 and not request.is_finished:
                self.requests.radix.keep(request)

    def _fail(self, chunks: list[Chunk], failure: BaseException) -> None:
        """Whatever went wrong, nobody knows how far these requests came: they end, all others go on."""
        sentence = f"the model's step failed: {type(failure).__name__}: {failure}"
        for request, _, _ in chunks:
            if not request.is_finished:
                self.requests.finish(request, "error", sentence)
