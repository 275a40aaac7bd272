"""The endpoints. Each takes a request that guard.py let pass, and hands it to who knows about it."""

import asyncio
import pathlib
import time
from collections.abc import Awaitable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from ..async_engine import AsyncEngine
from . import errors
from .auth import ApiKeys
from .chat import ChatTemplate, no_template
from .errors import ApiError
from .exchange import Exchange, Service
from .guard import Guard
from .limits import Limits
from .metrics import Metrics
from .protocol import ChatBody, CompletionBody
from .sse import EventStream, until_disconnect

PAGE = pathlib.Path(__file__).parent / "page"


def create_app(
    engine: AsyncEngine,
    model_name: str,
    *,
    limits: Limits | None = None,
    api_keys: tuple[str, ...] = (),
    chat_template: ChatTemplate | None = None,
    allowed_hosts: frozenset[str] | None = None,
    debug_cache: bool = False,
) -> FastAPI:
    """The ASGI application that serves `engine`, and closes it when it ends."""
    limits = limits or Limits()
    keys = ApiKeys(api_keys)
    service = Service(engine, model_name, limits, keys, Metrics(engine.get_stats), chat_template)
    created = int(time.time())

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        yield
        await asyncio.to_thread(engine.close)

    # Its pages at /docs would load scripts from elsewhere; the specification at /openapi.json is ours.
    app = FastAPI(title="nano_engine", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.service = service
    errors.install(app)
    app.add_middleware(
        Guard, keys=keys, limits=limits, allowed_hosts=allowed_hosts, count=service.metrics.response
    )

    @app.post("/v1/completions")
    async def completions(body: CompletionBody, request: Request) -> Response:
        """A text goes on."""
        return await respond(
            request, body, Exchange.of_completion(service, body, request.state.tenant, given_id(request))
        )

    @app.post("/v1/chat/completions")
    async def chat_completions(body: ChatBody, request: Request) -> Response:
        """A conversation goes on, if the operator gave a template for it."""
        if service.template is None:
            raise no_template()
        return await respond(
            request,
            body,
            Exchange.of_chat(service, body, request.state.tenant, given_id(request), service.template),
        )

    async def respond(request: Request, body, beginning: Awaitable[Exchange]) -> Response:
        exchange = await beginning
        headers = {"x-request-id": exchange.id}
        if body.stream:
            return EventStream(exchange.events(), limits.ping_s, headers, exchange.end)
        try:
            whole = await unless_disconnected(request, exchange.whole())
        finally:
            exchange.end()
        return Response(status_code=499) if whole is None else JSONResponse(whole, headers=headers)

    @app.post("/v1/requests/{request_id}/cancel")
    async def cancel(request_id: str, request: Request) -> JSONResponse:
        """Ends an open request of the same key; its answer closes with finish_reason "abort"."""
        exchange = service.open.get((request.state.tenant, request_id))
        if exchange is None:
            raise ApiError(404, f"no request {request_id[:80]!r} is open", code="request_not_found")
        exchange.cancel()
        return JSONResponse({"id": exchange.id, "object": "request.cancel", "cancelled": True})

    @app.get("/v1/models")
    async def models() -> dict:
        return {"object": "list", "data": [model()]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict:
        if name != model_name:
            raise ApiError(404, f"there is no model {name[:60]!r}", param="model", code="model_not_found")
        return model()

    def model() -> dict:
        return {
            "id": model_name,
            "object": "model",
            "created": created,
            "owned_by": "nano_engine",
            "max_model_len": engine.engine.config.max_seq_len,
            "has_chat_template": service.template is not None,
        }

    @app.get("/health")
    async def health() -> JSONResponse:
        """200 while new requests are taken, else 503."""
        is_serving = engine.is_serving
        return JSONResponse({"status": "ok" if is_serving else "shutting down"}, 200 if is_serving else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    if debug_cache:

        @app.get("/debug/cache")
        async def cache() -> list[dict]:
            """The prefix cache's tree, edge by edge: how much it holds and when it was used, not what it says."""
            nodes = await asyncio.to_thread(engine.engine.cache_nodes)
            return [
                {
                    "parent": node["parent"],
                    "salt": node["salt"][:8],
                    "num_tokens": len(node["tokens"]),
                    "num_pages": len(node["pages"]),
                    "num_pages_in_use": node["num_pages_in_use"],
                    "last_use": node["last_use"],
                }
                for node in nodes
            ]

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def given_id(request: Request) -> str | None:
    return request.headers.get("x-request-id")


async def unless_disconnected(request: Request, work: Awaitable[dict]) -> dict | None:
    """What `work` returns; None, and `work` cancelled, if the client goes away before."""
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(until_disconnect(request.receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)
