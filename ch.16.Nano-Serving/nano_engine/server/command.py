"""`python -m nano_engine serve`: the socket first, then the model, then requests until a signal.

SIGTERM and Ctrl-C drain: nothing new is taken, open answers go on for drain_timeout_s, then they end with
finish_reason "abort". A second Ctrl-C ends at once.
"""

import argparse
import asyncio
import errno
import ipaddress
import logging
import os
import pathlib
import signal
import socket
import sys

import uvicorn

from ..async_engine import AsyncEngine
from ..engine import NanoServingEngine
from .app import create_app
from .arguments import KEY_VARIABLE
from .auth import ApiKeys
from .chat import ChatTemplate
from .connection import timed_protocol
from .guard import host_name
from .limits import Limits

BUNDLED_NAME = "shakespeare"


def serve(args: argparse.Namespace, limits: Limits) -> int:
    """Exit status 0 after a signal. ValueError or OSError with a sentence if it cannot begin."""
    api_keys = read_keys(args)
    listener = listen(args.host, args.port)
    with listener:
        engine = NanoServingEngine.from_pretrained(args.model, args.dtype, **engine_options(args))
        template = None
        if args.chat_template is not None:
            template = ChatTemplate.from_file(args.chat_template, special_tokens(engine.tokenizer))
        address = listener.getsockname()
        app = create_app(
            AsyncEngine(engine, max_open_requests=limits.max_open_requests),
            args.name or model_name(args.model),
            limits=limits,
            api_keys=api_keys,
            chat_template=template,
            allowed_hosts=allowed_hosts(address[0], args.allowed_host),
            debug_cache=args.debug_cache,
        )
        if not api_keys and not is_loopback(address[0]):
            print("warning: without --api-key, everybody who can reach this address may ask", file=sys.stderr)
        run(app, listener, limits, access_log=args.access_log)
    return 0


def engine_options(args: argparse.Namespace) -> dict:
    names = {
        "kv_cache_pages": args.kv_cache_pages,
        "max_batch_size": args.max_batch_size,
        "max_chunk_size": args.max_chunk_size,
        "num_threads": args.threads,
        "cache_dir": args.cache_dir,
    }
    return {name: value for name, value in names.items() if value is not None}


def read_keys(args: argparse.Namespace) -> tuple[str, ...]:
    keys = list(args.api_key or [])
    if os.environ.get(KEY_VARIABLE):
        keys.append(os.environ[KEY_VARIABLE])
    if args.api_key_file is not None:
        lines = pathlib.Path(args.api_key_file).read_text("utf-8").splitlines()
        found = [line.strip() for line in lines if line.strip()]
        if not found:
            raise ValueError(f"{args.api_key_file} has no key: expected one in each line")
        keys += found
    ApiKeys(keys)  # raises before anything is loaded
    return tuple(keys)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port in use is known before a model is loaded."""
    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be between 0 and 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as failure:
        raise ValueError(f"--host {host!r} is no address of this machine: {failure.strerror}") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as failure:
        listener.close()
        if failure.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} of {host} is in use; choose another with --port") from None
        raise ValueError(f"cannot listen at {host} port {port}: {failure.strerror}") from None
    return listener


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def allowed_hosts(address: str, names: list[str] | None) -> frozenset[str] | None:
    """What a Host header may say. Anything, where the server is reachable from elsewhere and has no name."""
    if names:
        return frozenset(host_name(name) for name in names)
    return frozenset({"localhost", "127.0.0.1", "::1", address}) if is_loopback(address) else None


def model_name(model: str | None) -> str:
    if model is None:
        return BUNDLED_NAME
    return pathlib.Path(model).resolve().name if pathlib.Path(model).is_dir() else model


def special_tokens(tokenizer) -> frozenset[str]:
    added = {} if tokenizer is None else tokenizer.get_added_tokens_decoder()
    return frozenset(token.content for token in added.values() if token.special)


def uvicorn_config(app, limits: Limits, access_log: bool = False) -> uvicorn.Config:
    """HTTP/1.1 by h11, whose headers are bounded; no WebSockets, no trust in a proxy's headers."""
    return uvicorn.Config(
        app,
        http=timed_protocol(limits.header_timeout_s, limits.send_timeout_s),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="info" if access_log else "warning",
        access_log=access_log,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=limits.max_header_bytes,
        limit_concurrency=limits.max_connections,
        timeout_keep_alive=limits.keep_alive_s,
        timeout_graceful_shutdown=limits.drain_timeout_s + limits.send_timeout_s,
    )


def run(app, listener: socket.socket, limits: Limits, access_log: bool = False) -> None:
    """Serves until SIGTERM or Ctrl-C, and returns when all is drained."""
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    config = uvicorn_config(app, limits, access_log)
    # uvicorn raises the signal again when it is done, for whoever handled it before: nobody, here.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        asyncio.run(DrainingServer(config, app.state.service.engine, limits).serve(sockets=[listener]))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, which on a signal stops listening and waits for responses to end. Meanwhile the
    engine takes nothing new, and ends what takes too long, so that the wait is bounded and every client
    gets an end."""

    def __init__(self, config: uvicorn.Config, engine: AsyncEngine, limits: Limits):
        super().__init__(config)
        self._engine = engine
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            print(f"ready: http://{at} (Ctrl-C ends it)", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        num_open = self._engine.get_stats()["num_open_requests"]
        print(f"stopping: {num_open} open answers may go on", file=sys.stderr, flush=True)
        draining = asyncio.create_task(self._engine.drain(self._limits.drain_timeout_s))
        await super().shutdown(sockets)
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
