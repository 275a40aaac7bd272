"""The requests that write: one token each in every step, and the decision when one has written enough."""

import time

from .batch import Chunk
from .request import Request, RequestState
from .request_pool import RequestPool


class DecodeManager:
    def __init__(self, requests: RequestPool, eos_token_id: int | None):
        self.requests = requests
        self.eos_token_id = eos_token_id

    def schedule(self) -> list[Chunk]:
        """One token of each request whose prompt has been read."""
        running = self.requests.running.values()
        return [Chunk(r, r.num_tokens - 1, r.num_tokens) for r in running if r.state is RequestState.DECODE]

    def accept(self, request: Request, token: int) -> None:
        """Appends a chosen token, and ends the request if it was its last."""
        if not request.output_tokens:
            request.first_token_s = time.perf_counter()
        request.output_tokens.append(token)
        request.state = RequestState.DECODE
        self.requests.num_generated_tokens += 1

        is_eos = token == self.eos_token_id and not request.params.ignore_eos
        if is_eos or token in request.params.stop_token_ids:
            self.requests.finish(request, "stop")
        elif len(request.output_tokens) == request.max_new_tokens:
            self.requests.finish(request, "length")
