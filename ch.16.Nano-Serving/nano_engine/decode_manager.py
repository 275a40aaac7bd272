"""The requests that write: one token each in every step, and the decision when one has written enough."""

import time

from .batch import Chunk
from .request import Request, RequestState
from .request_pool import RequestPool
from .sampler import Choice


class DecodeManager:
    def __init__(self, requests: RequestPool, eos_token_id: int | None):
        self.requests = requests
        self.eos_token_id = eos_token_id

    # [schedule]
    def schedule(self) -> list[Chunk]:
        """One token of each request that has read all others, oldest first."""
        decode = RequestState.DECODE
        running = [r for r in self.requests.running.values() if r.state is decode]
        chunks = [Chunk(r, r.num_tokens - 1, r.num_tokens) for r in running]
        return [chunk for chunk in chunks if self.requests.ready(chunk, decode)]

    # [/schedule]

    # [accept]
    def accept(self, request: Request, choice: Choice) -> None:
        """Appends a chosen token, and ends the request if it was its last."""
        token, params = choice.token, request.params
        if not request.output_tokens:
            request.first_token_s = time.perf_counter()
            self.requests.radix.count_prompt(request)
        request.output_tokens.append(token)
        if choice.logprobs is not None:
            request.logprobs.append(choice.logprobs)
        request.state = RequestState.DECODE
        self.requests.num_generated_tokens += 1

        is_eos = token == self.eos_token_id and not params.ignore_eos
        if is_eos or token in params.stop_token_ids:
            request.stop_reason = token
        elif request.stop_decoder is not None:
            request.stop_decoder.feed([token])
            request.stop_reason = request.stop_decoder.stopped_by
        if request.stop_reason is not None:
            self.requests.finish(request, "stop")
        elif len(request.output_tokens) == request.max_new_tokens:
            self.requests.finish(request, "length")

    # [/accept]
