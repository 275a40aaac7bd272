"""The deployment that takes HTTP: it looks who may ask and for what text, and hands the request to a replica.

It answers nothing itself but what guard.py refuses. The response is the replica's, message by message.
"""

import json
from collections.abc import Callable

from ray import serve
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from ..server.auth import ApiKeys
from ..server.errors import ApiError
from ..server.guard import Guard
from ..server.limits import Limits

REPLICAS = "replicas"  # the deployment's name
HANDED_ON = ("type", "method", "path", "raw_path", "query_string", "headers", "http_version", "scheme")


def front_builder(
    application: str, keys: tuple[str, ...], limits: Limits, hosts: frozenset[str] | None
) -> Callable[[], Starlette]:
    """What `serve.ingress` takes: a function that makes the ASGI application where it will run."""

    def build() -> Starlette:
        replicas = serve.get_deployment_handle(REPLICAS, application)
        guard = Middleware(
            Guard, keys=ApiKeys(keys), limits=limits, allowed_hosts=hosts, count=lambda path, status: None
        )
        return Starlette(routes=[Mount("/", HandOn(replicas))], middleware=[guard])

    return build


class HandOn:
    """An ASGI application whose responses are the replicas'."""

    def __init__(self, replicas: serve.handle.DeploymentHandle):
        self._answer = replicas.options(method_name="answer", stream=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        plain = {name: scope[name] for name in HANDED_ON}
        plain |= {"asgi": {"version": "3.0"}, "server": None, "client": None, "root_path": ""}
        has_begun = False
        try:
            async for message in self._answer.remote(text_of(body), plain, body):
                has_begun = True
                await send(message)
        except Exception as failure:
            if has_begun:  # the client sees a stream that breaks off, and no false end
                raise
            refusal = ApiError(503, f"no replica could answer: {type(failure).__name__}", code="replica_lost")
            await refusal.response()(scope, receive, send)


def text_of(body: bytes) -> str:
    """What a replica will read, as far as the router cares; "" for what no replica will answer."""
    try:
        fields = json.loads(body)
        prompt = fields.get("prompt") or [message["content"] for message in fields["messages"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    return prompt if isinstance(prompt, str) else json.dumps(prompt)
