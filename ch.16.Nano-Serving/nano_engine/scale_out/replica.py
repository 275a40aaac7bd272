"""One engine with the whole of its server, called by the front instead of by uvicorn.

The front hands on method, path, headers and body; the replica runs its ASGI application on them and yields what
it sends. When the call is cancelled, the application is told that the client has gone, and ends its request.
"""

import asyncio
from collections.abc import AsyncGenerator

from ray import serve

from ..async_engine import AsyncEngine
from ..engine import NanoServingEngine
from ..server.app import create_app
from ..server.limits import Limits


class Replica:
    """model, dtype, engine_options: as for NanoServingEngine.from_pretrained; app_options: as for create_app."""

    def __init__(
        self,
        model: str | None,
        dtype: str,
        engine_options: dict,
        name: str,
        limits: Limits,
        app_options: dict,
    ):
        engine = NanoServingEngine.from_pretrained(model, dtype, **engine_options)
        self._engine = AsyncEngine(engine, max_open_requests=limits.max_open_requests)
        self._app = create_app(self._engine, name, limits=limits, **app_options)

    async def answer(self, text: str, scope: dict, body: bytes) -> AsyncGenerator[dict, None]:
        """The ASGI messages of one response. text: what the router looks at; here it is not needed."""
        messages: asyncio.Queue[dict] = asyncio.Queue(maxsize=64)  # the application waits for a slow reader
        is_gone = asyncio.Event()
        inbox = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict:
            if inbox:
                return inbox.pop()
            await is_gone.wait()
            return {"type": "http.disconnect"}

        task = asyncio.create_task(self._app(scope | {"state": {}}, receive, messages.put))
        try:
            while True:
                getting = asyncio.ensure_future(messages.get())
                await asyncio.wait((getting, task), return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():  # the application has failed without an end
                    getting.cancel()
                    task.result()
                    return
                message = getting.result()
                yield message
                if message["type"] == "http.response.body" and not message.get("more_body", False):
                    return
        finally:
            is_gone.set()
            while not messages.empty():  # it may wait for room to put what nobody reads
                messages.get_nowait()
            await asyncio.wait((task,), timeout=1)
            task.cancel()

    async def stats(self) -> dict:
        """The engine's, and which replica this is."""
        return self._engine.get_stats() | {"replica": serve.get_replica_context().replica_id.unique_id}

    def check_health(self) -> None:
        """Ray Serve asks; a replica whose engine has died is replaced."""
        if not self._engine._thread.is_alive():
            raise RuntimeError("the engine's thread has ended")

    def __del__(self):
        if hasattr(self, "_engine"):
            self._engine.close()
