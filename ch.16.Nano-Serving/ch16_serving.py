"""A server for the tests: uvicorn in a thread, on a free port of this machine, in front of the small model."""

import asyncio
import contextlib
import json
import pathlib
import socket
import threading
import time

import httpx
import numpy as np
import safetensors.numpy

from ch16_testing import CONFIG, require_all_back, tokenizer, weights
from ch16_testing import engine as small_engine
from nano_engine import NanoServingEngine
from nano_engine.async_engine import AsyncEngine
from nano_engine.server.app import create_app
from nano_engine.server.chat import ChatTemplate
from nano_engine.server.command import DrainingServer, allowed_hosts, listen, special_tokens, uvicorn_config
from nano_engine.server.limits import Limits

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
PATIENCE_S = 20


class Served:
    """What a test knows of a running server."""

    def __init__(self, engine: NanoServingEngine, app, server: DrainingServer, address: tuple[str, int]):
        self.engine = engine
        self.server = server
        self.service = app.state.service
        self.app = app
        self.address = address
        self.url = f"http://{address[0]}:{address[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def post(self, path: str = "/v1/completions", **body) -> httpx.Response:
        return self.http.post(path, json=body)

    def complete(self, prompt="To be", **body) -> dict:
        response = self.post(prompt=prompt, **body)
        assert response.status_code == 200, response.text
        return response.json()

    def events(self, path: str = "/v1/completions", **body) -> list[dict]:
        """The JSON of each event of a stream, which must end with [DONE]."""
        response = self.post(path, stream=True, **body)
        assert response.headers["content-type"].startswith("text/event-stream"), response.text
        return parse_events(response.text)

    def raw(self, data: bytes, **options) -> socket.socket:
        """A connection that has sent these bytes."""
        connection = socket.create_connection(self.address, timeout=PATIENCE_S, **options)
        connection.sendall(data)
        return connection

    def require_all_back(self) -> None:
        """Soon nothing is open, and every page is free."""
        wait_until(lambda: self.service.engine.get_stats()["num_open_requests"] == 0)
        wait_until(lambda: not self.service.open)  # an answer's end is sent before it is forgotten
        require_all_back(self.engine)


def save_model(folder: pathlib.Path) -> pathlib.Path:
    """Writes the small model there in Hugging Face's format."""
    names = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions")
    config = {"model_type": "gpt2", **{name: getattr(CONFIG, name) for name in names}}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in weights().tensors.items()}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def parse_events(text: str) -> list[dict]:
    events = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]" and events.count("[DONE]") == 1
    return [json.loads(event) for event in events[:-1]]


def wait_until(condition, patience_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.005)


def request_bytes(path: str, body: bytes, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.contextmanager
def serving(
    engine: NanoServingEngine | None = None,
    *,
    template: str | None = None,
    hosts: list[str] | None = None,
    max_open_requests: int = 64,
    limits: dict | None = None,
    **options,
):
    """A server on 127.0.0.1 while the block runs; afterwards everything must be back."""
    engine = small_engine("reference") if engine is None else engine
    bounds = Limits(**{"max_open_requests": max_open_requests} | (limits or {}))
    listener = listen("127.0.0.1", 0)
    app = create_app(
        AsyncEngine(engine, max_open_requests=bounds.max_open_requests),
        "small",
        limits=bounds,
        chat_template=template and ChatTemplate(template, special_tokens(tokenizer())),
        allowed_hosts=allowed_hosts("127.0.0.1", hosts),
        **options,
    )
    server = DrainingServer(uvicorn_config(app, bounds), app.state.service.engine, bounds)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    served = Served(engine, app, server, listener.getsockname())
    try:
        yield served
        served.require_all_back()
    finally:
        served.http.close()
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the server does not stop"
        listener.close()


class Slow:
    """A model that takes its time, so that a test can come in the middle of an answer."""

    def __init__(self, model, step_s: float):
        self.model = model
        self.step_s = step_s

    def step(self, *arguments):
        time.sleep(self.step_s)
        return self.model.step(*arguments)


def slow_engine(step_s: float = 0.1, **options) -> NanoServingEngine:
    return small_engine("reference", wrap=lambda model: Slow(model, step_s), **options)
