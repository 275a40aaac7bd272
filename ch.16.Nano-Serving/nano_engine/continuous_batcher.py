"""One tick of the engine: choose, run, read the result.

Requests join and leave between any two ticks; nobody waits for a batch to be full or to be over. A tick
costs at most max(max_chunk_size, max_batch_size) tokens. It is not thread-safe: the engine calls it under
its lock.
"""

import numpy as np

from .batch import Batch, Chunk
from .decode_manager import DecodeManager
from .executor import ModelExecutor
from .prefill_manager import PrefillManager
from .request_pool import RequestPool
from .sampling import sample


class ContinuousBatcher:
    def __init__(
        self, requests: RequestPool, prefills: PrefillManager, decodes: DecodeManager, executor: ModelExecutor
    ):
        self.requests = requests
        self.prefills = prefills
        self.decodes = decodes
        self.executor = executor
        self.num_steps = 0

    # [step]
    def step(self) -> list[Chunk]:
        """Advances the running requests; returns what was read, and [] if there was nothing to do."""
        self.prefills.admit()
        chunks = self.decodes.schedule()
        chunks += self.prefills.schedule(num_decodes=len(chunks))
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
        for request, _, stop in batch.chunks:
            request.num_computed_tokens = stop
        for request, row in zip(batch.sampled, logits, strict=True):
            try:
                token = sample(row, request.params, request.seed, position=request.num_tokens)
            except ValueError as failure:  # the logits are not finite
                self.requests.finish(request, "error", str(failure))
            else:
                self.decodes.accept(request, token)

    def _fail(self, chunks: list[Chunk], failure: BaseException) -> None:
        """Whatever went wrong, nobody knows how far these requests came: they end, all others go on."""
        sentence = f"the model's step failed: {type(failure).__name__}: {failure}"
        for request, _, _ in chunks:
            if not request.is_finished:
                self.requests.finish(request, "error", sentence)
