"""What stands in front of every endpoint: whose host, whose key, how much body, in how much time.

In this order, so that nothing is read for somebody who may not ask. It answers refusals itself and adds the
security headers to every response.
"""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth import ApiKeys
from .errors import ApiError
from .limits import Limits

OPEN_PATHS = ("/health",)  # to those who watch the server, which have no key and ask by address

# No code, style, picture or connection from elsewhere, no frame around the page, and no guessing of types.
SECURITY_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """ASGI middleware.

    allowed_hosts  what a Host header may name, without the port; None: anything
    count          is told the path and the status of every response
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: ApiKeys,
        limits: Limits,
        allowed_hosts: frozenset[str] | None,
        count: Callable[[str, int], None],
    ):
        self.app = app
        self.keys = keys
        self.limits = limits
        self.allowed_hosts = allowed_hosts
        self.count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.count(scope["path"], message["status"])
                message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS]
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._require_short_head(scope)
            if scope["path"] not in OPEN_PATHS:
                self._require_host(headers)
                scope["state"]["tenant"] = self._tenant(headers)
            body = await self._body(headers, receive)
        except ApiError as refusal:
            await refusal.response()(scope, receive, send_with_headers)
            return
        if body is None:  # the client has gone
            return
        await self.app(scope, _replay(body, receive), send_with_headers)

    def _require_short_head(self, scope: Scope) -> None:
        """h11 bounds only a head that comes in pieces; one that comes at once is counted here."""
        num_bytes = len(scope["raw_path"]) + len(scope["query_string"])
        num_bytes += sum(len(name) + len(value) for name, value in scope["headers"])
        limit = self.limits.max_header_bytes
        if num_bytes > limit:
            raise ApiError(
                431,
                f"a request's line and headers may have at most {limit} bytes together",
                code="headers_too_long",
                headers={"connection": "close"},
            )

    def _require_host(self, headers: Headers) -> None:
        """A page elsewhere can have its own name resolve to this address ("DNS rebinding") and then ask us
        as if it were ours; the Host header still gives its name away."""
        host = host_name(headers.get("host", ""))
        if self.allowed_hosts is not None and host not in self.allowed_hosts:
            raise ApiError(
                421,
                f"this server is not {host[:60]!r}; start it with --allowed-host to give it a name",
                code="unknown_host",
            )

    def _tenant(self, headers: Headers) -> str:
        tenant = self.keys.tenant(headers.get("authorization"))
        if tenant is None:
            raise ApiError(
                401,
                "an API key is needed: Authorization: Bearer KEY",
                code="invalid_api_key",
                headers={"www-authenticate": 'Basic realm="nano_engine", charset="UTF-8"'},
            )
        return tenant

    async def _body(self, headers: Headers, receive: Receive) -> bytes | None:
        limit = self.limits.max_body_bytes
        length = headers.get("content-length", "")
        is_too_long = length.isdecimal() and (len(length) > 18 or int(length) > limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.body_timeout_s):
                while not is_too_long:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    is_too_long = len(body) > limit
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise ApiError(
                408,
                f"the body did not arrive within {self.limits.body_timeout_s:g} s",
                code="timeout",
                headers={"connection": "close"},
            ) from None
        if is_too_long:
            await _discard(receive, 8 * limit)
            raise ApiError(
                413,
                f"the body may have at most {limit} bytes",
                code="body_too_long",
                headers={"connection": "close"},
            )
        return bytes(body)


async def _discard(receive: Receive, max_bytes: int) -> None:
    """Reads on for a moment: a client that is still sending when the connection closes never sees why."""
    try:
        async with asyncio.timeout(1.0):
            while max_bytes > 0:
                message = await receive()
                max_bytes -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        pass


def _replay(body: bytes, receive: Receive) -> Receive:
    is_first = True

    async def again() -> Message:
        nonlocal is_first
        if is_first:
            is_first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def host_name(host: str) -> str:
    """A Host header without its port: "[::1]:8000" -> "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
