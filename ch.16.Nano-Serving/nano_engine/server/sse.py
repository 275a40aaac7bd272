"""Server-sent events: a response whose body is written as the answer is.

However it is left, by its end, the client's disconnect or a failure, `at_end` is called.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DONE = b"data: [DONE]\n\n"
PING = b": still here\n\n"


def event(data: dict) -> bytes:
    """One event. JSON has no raw line break, so the data is always one line."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


async def until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        ping_s: float,
        headers: dict[str, str],
        at_end: Callable[[], None],
    ):
        self.events = events
        self.at_end = at_end
        self.ping_s = ping_s
        self.status_code = 200
        self.background = None
        self.init_headers(headers | {"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(send))
        gone = asyncio.create_task(until_disconnect(receive))
        try:
            await asyncio.wait((writing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            gone.cancel()
            await asyncio.gather(writing, gone, return_exceptions=True)
            self.at_end()
        if writing.done() and not writing.cancelled() and writing.exception() is not None:
            raise writing.exception()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            next_event = None
            while True:
                next_event = next_event or asyncio.ensure_future(anext(self.events, None))
                await asyncio.wait((next_event,), timeout=self.ping_s)
                if not next_event.done():
                    await send({"type": "http.response.body", "body": PING, "more_body": True})
                    continue
                data = next_event.result()
                next_event = None
                if data is None:
                    break
                await send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            if next_event is not None:
                next_event.cancel()
                await asyncio.gather(next_event, return_exceptions=True)
            await self.events.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
