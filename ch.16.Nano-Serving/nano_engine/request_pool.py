"""All requests the engine knows of, and the pages each of them holds.

This is the only file that takes pages from the KV cache and gives them back, and the only one that ends a request. It
never chooses which request comes next; the managers do.

Requests are numbered in order of arrival, and what runs is always older than what waits:

    running  [ 3 5 6 8 ]   waiting [ 9 11 12 ... ]
              ^       ^
        oldest: never |
        preempted     youngest: pays when pages run out, and becomes the first to wait
"""

import itertools
import time
from collections import OrderedDict

from ch16_nano_serving import IntegrityError, KVCachePool, OutOfPages

from .batch import Chunk
from .radix_manager import RadixManager
from .request import FINISH_REASONS, Request, RequestState

MAX_WAITING_REQUESTS = 16_384


class QueueFull(RuntimeError):
    """More requests wait than the engine is willing to keep."""


class RequestPool:
    """paging: pages are taken as they are needed; False: each request takes its worst case in one piece."""

    def __init__(
        self,
        kv_pool: KVCachePool,
        radix: RadixManager,
        max_waiting_requests: int = MAX_WAITING_REQUESTS,
        paging: bool = True,
    ):
        self.kv_pool = kv_pool
        self.radix = radix
        self.max_waiting_requests = max_waiting_requests
        self.paging = paging
        self.waiting: OrderedDict[int, Request] = OrderedDict()  # in order of arrival
        self.running: OrderedDict[int, Request] = OrderedDict()  # the same
        self._ids = itertools.count()
        self.num_finished = dict.fromkeys(FINISH_REASONS, 0)
        self.num_generated_tokens = 0
        self.num_preemptions = 0

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
        """Puts a new request last in the queue and numbers it: here and not before, or threads could overtake."""
        self.require_room(1)
        request.id = next(self._ids)
        self.waiting[request.id] = request

    # [start]
    def start(self, request: Request) -> bool:
        """Moves the first waiting request to the running ones, with what is cached of it; False if there's no room.

        There is room if the pages for all its tokens and one more are to be had beside those that the running
        requests need for theirs. If nothing runs there is always room: it fits, the engine has checked that.
        """
        if not self.paging:
            try:
                request.page_table = self.kv_pool.allocate_contiguous(request.max_cached_tokens)
            except OutOfPages:
                if self.running:
                    return False
                raise
        else:
            self.radix.reuse(request)
            wanted = sum(map(self._pages_wanted, [request, *self.running.values()]))
            if self.running and wanted > self.radix.num_available_pages:
                self._release(request)
                return False
        del self.waiting[request.id]
        self.running[request.id] = request
        request.state = RequestState.PREFILL
        return True

    # [/start]
    def _pages_wanted(self, request: Request) -> int:
        """Pages to read all tokens a request has and to write one page more, beyond those that it holds."""
        num_tokens = min(request.num_tokens + self.kv_pool.page_size, request.max_cached_tokens)
        return max(0, self.kv_pool.pages_needed(num_tokens) - len(request.page_table))

    # [grow]
    def grow(self, request: Request, num_tokens: int) -> bool:
        """Sees to it that a running request has pages for its first `num_tokens` tokens.

        When there are none left, the prefix cache pays first, and then the youngest that runs. False if that is
        the request itself, which then waits again.
        """
        num_missing = self.kv_pool.pages_needed(num_tokens) - len(request.page_table)
        while num_missing > (num_free := self.kv_pool.num_free_pages):
            if self.radix.evict(num_missing - num_free):
                continue
            youngest = next(reversed(self.running.values()))
            if youngest is request and len(self.running) == 1:  # it fits an empty cache
                raise RuntimeError(
                    f"nothing else runs, and yet {self.kv_pool!r}: pages are held outside the engine"
                )
            self.preempt(youngest)
            if youngest is request:
                return False
        if num_missing > 0:
            request.page_table += self.kv_pool.allocate(num_missing * self.kv_pool.page_size)
        return True

    # [/grow]
    def ready(self, chunk: Chunk, state: RequestState) -> bool:
        """Whether a chunk can be read: its request is still in `state` and has pages for it."""
        request = chunk.request
        if request.state is not state:  # preempted a moment ago
            return False
        try:
            return self.grow(request, chunk.stop)
        except Exception as failure:
            self.finish(request, "error", f"there are no pages for it: {failure}")
            return False

    # [preempt]
    def preempt(self, request: Request) -> None:
        """Takes the youngest running request's pages; it will be the first to start again, and reads all anew.

        What it has computed stays in the prefix cache until the pages are needed, so "all" is often little.
        """
        self.radix.keep(request)
        del self.running[request.id]
        self._release(request)
        request.state = RequestState.WAITING
        request.num_preemptions += 1
        self.num_preemptions += 1
        self.waiting[request.id] = request
        self.waiting.move_to_end(request.id, last=False)

    # [/preempt]
    def _release(self, request: Request) -> None:
        pages, request.page_table = request.page_table, []
        request.num_computed_tokens = request.num_kept_pages = 0
        if not request.num_preemptions and not request.output_tokens and request.id in self.waiting:
            request.num_cached_tokens = 0  # it has not started after all
        self.kv_pool.free(pages)

    # [finish]
    def finish(self, request: Request, reason: str, error: str | None = None) -> None:
        """Ends a live request, waiting or running, and gives its pages back."""
        if request.is_finished:
            raise RuntimeError(
                f"request {request.id} has already ended ({request.finish_reason}), now: {reason}"
            )
        try:
            if reason != "error":
                self.radix.keep(request)
        finally:
            self.waiting.pop(request.id, None)
            self.running.pop(request.id, None)
            self._release(request)
            request.state = RequestState.FINISHED
            request.finish_reason = reason
            request.error = error
            request.finish_s = time.perf_counter()
            self.num_finished[reason] += 1

    # [/finish]

    # [check-integrity]
    def check_integrity(self) -> None:
        """Raises unless every page is free, cached or a running request's, and every state is what its place says."""
        tables = [request.page_table for request in self.running.values()]
        cached = self.radix.cache.pages()
        self.kv_pool.check_integrity([*tables, cached])
        self.radix.cache.check_integrity()
        num_free, num_held = self.kv_pool.num_free_pages, len(set().union(cached, *tables))
        if num_free + num_held != self.kv_pool.num_pages:
            raise IntegrityError(
                f"{num_free} pages are free and {num_held} are held: of {self.kv_pool.num_pages} pages "
                f"{self.kv_pool.num_pages - num_free - num_held} are nowhere"
            )
        # [/check-integrity]
        if sorted([*self.running, *self.waiting]) != [*self.running, *self.waiting]:
            raise IntegrityError(
                f"requests {[*self.running]} run and {[*self.waiting]} wait: not in order of arrival"
            )
        for request in self.waiting.values():
            if request.state is not RequestState.WAITING or request.page_table or request.num_computed_tokens:
                raise IntegrityError(
                    f"request {request.id} waits in state {request.state} with {request.page_table}"
                )
        for request in self.running.values():
            if request.state not in (RequestState.PREFILL, RequestState.DECODE):
                raise IntegrityError(f"request {request.id} runs in state {request.state}")
            if not 0 <= request.num_computed_tokens < request.num_tokens:
                raise IntegrityError(
                    f"request {request.id} has {request.num_computed_tokens} of {request.num_tokens} tokens cached"
                )
            if len(request.page_table) < self.kv_pool.pages_needed(request.num_computed_tokens):
                raise IntegrityError(
                    f"request {request.id} has {request.num_computed_tokens} tokens in {request.page_table}"
                )
