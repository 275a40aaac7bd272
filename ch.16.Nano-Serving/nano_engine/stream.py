"""An answer while it is being written: iterators over one request's tokens or text.

Iterating drives the engine, for this request and for all others. A stream that is left before its end
aborts its request: at once by `close` or at the end of a `with` block, otherwise before the engine's next
step after the stream has become garbage. How the answer ended is in `stream.request.finish_reason`, as with
`generate`.
"""

from collections import deque
from typing import TYPE_CHECKING

from .detokenizer import TextDecoder
from .request import Request

if TYPE_CHECKING:
    from .engine import NanoServingEngine


class TokenStream:
    """The tokens of one answer, one by one."""

    def __init__(self, engine: "NanoServingEngine", request: Request):
        self.request = request
        self._engine = engine
        self._num_taken = 0
        self._ready = deque()
        self._ended = False

    def __iter__(self):
        return self

    def __next__(self):
        while not self._ready:
            if self._ended:
                raise StopIteration
            tokens, self._ended = self._engine.advance(self.request, self._num_taken)
            self._num_taken += len(tokens)
            self._ready.extend(self._items(tokens))
        return self._ready.popleft()

    def _items(self, tokens: list[int]) -> list:
        return tokens

    def close(self) -> None:
        """Ends the request now, if it has not ended by itself."""
        self._engine.abort(self.request.id)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        # Runs wherever garbage happens to be collected, perhaps inside a step: it only leaves a note.
        self._engine.abandon(self.request)


class TextStream(TokenStream):
    """The text of one answer in pieces: whole characters, as soon as their last byte is known."""

    def __init__(self, engine: "NanoServingEngine", request: Request, decoder: TextDecoder):
        super().__init__(engine, request)
        self._decoder = decoder

    def _items(self, tokens: list[int]) -> list[str]:
        if self._ended and isinstance(self.request.stop_reason, int):
            tokens = tokens[:-1]  # the token that ended the answer is not part of its text
        piece = self._decoder.feed(tokens)
        if self._ended:
            piece += self._decoder.flush()
        return [piece] if piece else []
