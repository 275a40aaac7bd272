"""All requests the engine knows of, and the pages each of them holds.

This is the only file that takes pages from the KV cache and gives them back, and the only one that ends a
request. Both happen in pairs: `start` takes, `finish` gives, and every request is finished exactly once. It
never chooses which request comes next; the managers do.
"""

import time
from collections import OrderedDict

from ch16_nano_serving import KVCachePool

from .request import FINISH_REASONS, Request, RequestState

MAX_WAITING_REQUESTS = 16_384


class QueueFull(RuntimeError):
    """More requests wait than the engine is willing to keep."""


class RequestPool:
    def __init__(self, kv_pool: KVCachePool, max_waiting_requests: int = MAX_WAITING_REQUESTS):
        self.kv_pool = kv_pool
        self.max_waiting_requests = max_waiting_requests
        self.waiting: OrderedDict[int, Request] = OrderedDict()  # in order of arrival
        self.running: OrderedDict[int, Request] = OrderedDict()  # in order of admission
        self.num_finished = dict.fromkeys(FINISH_REASONS, 0)
        self.num_generated_tokens = 0

    def get(self, request_id: int) -> Request | None:
        """The live request of this id, or None if it has ended or never was."""
        return self.running.get(request_id) or self.waiting.get(request_id)

    def require_room(self, num_requests: int) -> None:
        if len(self.waiting) + num_requests > self.max_waiting_requests:
            raise QueueFull(
                f"{num_requests} more requests do not fit the waiting queue: it holds at most "
                f"{self.max_waiting_requests} and has {len(self.waiting)}"
            )

    def add(self, request: Request) -> None:
        self.require_room(1)
        self.waiting[request.id] = request

    def can_start(self, request: Request) -> bool:
        return self.kv_pool.can_allocate(request.max_cached_tokens)

    def start(self, request: Request) -> None:
        """Moves a waiting request to the running ones, with all the pages it can ever need."""
        request.page_table = self.kv_pool.allocate(request.max_cached_tokens)
        del self.waiting[request.id]
        self.running[request.id] = request
        request.state = RequestState.PREFILL

    def finish(self, request: Request, reason: str, error: str | None = None) -> None:
        """Ends a live request, waiting or running, and gives its pages back."""
        if request.is_finished:
            raise RuntimeError(
                f"request {request.id} has already ended ({request.finish_reason}), now: {reason}"
            )
        self.waiting.pop(request.id, None)
        self.running.pop(request.id, None)
        self.kv_pool.free(request.page_table)
        request.page_table = []
        request.state = RequestState.FINISHED
        request.finish_reason = reason
        request.error = error
        request.finish_s = time.perf_counter()
        self.num_finished[reason] += 1

    def check_integrity(self) -> None:
        """Raises unless every page is free or a running request's, and every state is what its place says."""
        self.kv_pool.check_integrity([request.page_table for request in self.running.values()])
        for request in self.waiting.values():
            if request.state is not RequestState.WAITING or request.page_table:
                raise RuntimeError(
                    f"request {request.id} waits in state {request.state} with {request.page_table}"
                )
        for request in self.running.values():
            if request.state not in (RequestState.PREFILL, RequestState.DECODE):
                raise RuntimeError(f"request {request.id} runs in state {request.state}")
            if not 0 <= request.num_computed_tokens < request.num_tokens:
                raise RuntimeError(
                    f"request {request.id} has {request.num_computed_tokens} of {request.num_tokens} tokens cached"
                )
