"""A connection's time. uvicorn bounds how long one may be idle between requests; here it is bounded how long
a request's headers may take to arrive, and how long a client may leave unread what it was sent.

Without these, a few hundred connections that send a byte a minute, or read none, hold a server for ever.
"""

from uvicorn.protocols.http.h11_impl import H11Protocol


def timed_protocol(header_timeout_s: float, send_timeout_s: float) -> type[H11Protocol]:
    """uvicorn's protocol for HTTP/1.1 with these two timeouts."""

    tick_s = min(1.0, header_timeout_s / 4, send_timeout_s / 4)

    class TimedProtocol(H11Protocol):
        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            self._reads_head_since = self.loop.time()  # None: a request is being answered, or none has begun
            self._unread = 0  # bytes in the send buffer that the client does not take
            self._unread_since = self.loop.time()
            self._ticker = self.loop.call_later(tick_s, self._tick)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_answering:
                self._reads_head_since = None
            elif self._reads_head_since is None:
                self._reads_head_since = self.loop.time()

        def on_response_complete(self) -> None:
            self._reads_head_since = None
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._ticker.cancel()
            super().connection_lost(exc)

        @property
        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _tick(self) -> None:
            now = self.loop.time()
            self._ticker = self.loop.call_later(tick_s, self._tick)
            unread = self.transport.get_write_buffer_size()
            if unread == 0 or unread < self._unread:
                self._unread_since = now
            self._unread = unread
            if now - self._unread_since > send_timeout_s:
                self.transport.abort()  # drops what is unread; `close` would wait for it
                return
            since = self._reads_head_since
            if since is not None and not self._is_answering and now - since > header_timeout_s:
                self.transport.close()

    return TimedProtocol
