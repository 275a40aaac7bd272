"""One test for each way in which servers of language models have been brought down or made to talk.

Each ends with the server answering as before and every page back (`serving` looks at that).
"""

import contextlib
import json
import pathlib
import select
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

from ch16_serving import TEMPLATE, request_bytes, serving, slow_engine, wait_until

SOON_S = 5  # a refusal costs milliseconds; the machine may be busy


@pytest.fixture(scope="module")
def server():
    with serving(template=TEMPLATE) as served:
        yield served


def refused(served, body: bytes, status: int = 400, path: str = "/v1/completions", **headers) -> dict:
    """The error of a request that must be refused soon, after which the server must answer another."""
    begin_s = time.monotonic()
    headers = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
    response = served.http.post(path, content=body, headers=headers)
    assert time.monotonic() - begin_s < SOON_S
    assert response.status_code == status, response.text[:300]
    assert len(response.content) < 2000, "a refusal that repeats what it was sent can be made large"
    assert served.complete("x", max_tokens=1)["choices"][0]["finish_reason"] in ("length", "stop")
    return response.json()["error"]


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


# Numbers


@pytest.mark.parametrize("n", [9, 10**9, 10**18, 10**30, -1, -(10**9)])
def test_huge_and_negative_n(server, n):
    assert refused(server, json.dumps({"prompt": "x", "n": n}).encode())["param"] == "n"


@pytest.mark.parametrize("value", [21, 10**9, 10**30, -1, -(10**9)])
def test_huge_and_negative_logprobs(server, value):
    assert refused(server, json.dumps({"prompt": "x", "logprobs": value}).encode())["param"] == "logprobs"
    chat = {"messages": [{"role": "user", "content": "x"}], "logprobs": True, "top_logprobs": value}
    error = refused(server, json.dumps(chat).encode(), path="/v1/chat/completions")
    assert error["param"] in ("top_logprobs", "logprobs")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-1", "1e308"])
@pytest.mark.parametrize(
    "field",
    [
        "temperature",
        "top_p",
        "min_p",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
        "timeout_s",
    ],
)
def test_negative_and_non_finite_numbers(server, field, value):
    if (field, value) in (("presence_penalty", "-1"), ("frequency_penalty", "-1"), ("timeout_s", "1e308")):
        return  # these are meant
    error = refused(server, b'{"prompt": "x", "%s": %s}' % (field.encode(), value.encode()))
    assert error["param"] == field


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "-1", "1" * 5000, "0.5", "1e3", "true", '"1"'])
@pytest.mark.parametrize("field", ["max_tokens", "n", "seed", "top_k", "logprobs", "min_tokens"])
def test_integers_that_are_none(server, field, value):
    error = refused(server, b'{"prompt": "x", "%s": %s}' % (field.encode(), value.encode()))
    assert error["param"] == field or error["code"] == "invalid_json"


def test_non_finite_bias(server):
    for value in ("NaN", "Infinity", "1e999"):
        assert refused(server, b'{"prompt": "x", "logit_bias": {"1": %s}}' % value.encode())[
            "param"
        ].startswith("logit_bias")
    many = {str(token): 1 for token in range(301)}
    error = refused(server, json.dumps({"prompt": "x", "logit_bias": many}).encode())
    assert error["param"] == "logit_bias" and "301 tokens; at most 300" in error["message"]


# Sizes


def test_oversized_body(server):
    body = json.dumps({"prompt": "x" * 2_000_000}).encode()
    assert refused(server, body, 413)["message"] == "the body may have at most 1048576 bytes"


def test_oversized_body_that_does_not_say_its_length(server):
    """In chunks, without end: the server stops listening after a few MB, however long the client goes on."""
    head = request_bytes("/v1/completions", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    connection = server.raw(head)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    num_sent = 0
    with pytest.raises(OSError):  # the server closes; 2000 chunks are not taken
        for num_sent in range(2000):  # noqa: B007
            connection.sendall(chunk)
    assert num_sent >= 16, f"{num_sent} chunks of 64 KiB were taken"
    connection.close()


def test_a_body_that_says_it_is_huge_or_negative(server):
    for length in (b"9" * 18, b"9" * 25, b"-5", b"1_0", b"0x10"):
        head = request_bytes("/v1/completions", b"").replace(
            b"Content-Length: 0", b"Content-Length: " + length
        )
        with server.raw(head) as connection:
            status = received(connection).split(b"\r\n", 1)[0]
        assert status.split()[1] in (b"413", b"400"), status


def test_oversized_headers(server):
    """In one piece they are a 431; in several, h11 ends it with a 400 before the rest is read."""
    for headers in (["X: " + "x" * 20_000], [f"X{i}: {'x' * 90}" for i in range(300)]):
        whole = request_bytes("/health", b"", *headers, method="GET")
        for first in (len(whole), 18_000):
            with server.raw(whole[:first]) as connection:
                assert received(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    with server.raw(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n") as connection:
        assert received(connection).startswith(b"HTTP/1.1 400 ")
    line = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 20_000)
    with server.raw(line) as connection:
        assert received(connection).startswith(b"HTTP/1.1 431 ")


def test_oversized_prompt(server):
    error = refused(server, json.dumps({"prompt": "x" * 65_537}).encode())
    assert error["message"] == "prompt has 65537 characters; at most 65536 are allowed"
    error = refused(server, json.dumps({"prompt": [1] * 300_000}).encode())
    assert error["message"] == "prompt has 300000 tokens; at most 40 are allowed"


def test_the_longest_prompt_keeps_nobody_waiting(server):
    """65,536 characters without a space are the worst case of a BPE. Others are answered meanwhile."""
    body = json.dumps({"prompt": "ab" * 32_768}).encode()
    refusals = []
    threads = [threading.Thread(target=lambda: refusals.append(refused(server, body))) for _ in range(3)]
    for thread in threads:
        thread.start()
    longest_s = 0.0
    while any(thread.is_alive() for thread in threads):
        begin_s = time.monotonic()
        server.http.get("/health")
        longest_s = max(longest_s, time.monotonic() - begin_s)
    assert len(refusals) == 3 and longest_s < 1
    assert all("the model reads at most 40" in error["message"] for error in refusals)


def test_many_prompts_times_many_answers():
    """Each within its limit, together more than the queue takes: all are refused, none is begun."""
    with serving(max_open_requests=64) as served:
        error = refused(served, json.dumps({"prompt": ["x"] * 16, "n": 8}).encode(), 429)
        assert "128 more requests do not fit" in error["message"]
        assert served.engine.get_stats()["total_requests_aborted"] == 0


# Time


@pytest.fixture
def hasty():
    limits = {"header_timeout_s": 0.5, "body_timeout_s": 0.5, "send_timeout_s": 1.0, "keep_alive_s": 0.5}
    with serving(limits=limits) as served:
        yield served


def test_headers_that_come_byte_by_byte(hasty):
    """A byte every 50 ms: the connection is closed when the time is up, not when the bytes stop."""
    connection = hasty.raw(b"GET /health HTTP/1.1\r\n")
    begin_s = time.monotonic()
    with contextlib.suppress(OSError):  # it may also close between our look and our byte
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(b"x")
            assert time.monotonic() - begin_s < SOON_S
    assert 0.3 < time.monotonic() - begin_s < SOON_S
    with contextlib.suppress(OSError):
        assert not connection.recv(1), "an answer to half a request"
    connection.close()


def test_a_connection_that_says_nothing(hasty):
    for connection in (hasty.raw(b""), hasty.raw(request_bytes("/health", b"", method="GET"))):
        with connection:
            begin_s = time.monotonic()
            received(connection)  # returns when the server closes
            assert time.monotonic() - begin_s < SOON_S


def test_a_body_that_comes_byte_by_byte(hasty):
    whole = request_bytes("/v1/completions", b'{"prompt": "' + b"x" * 1000 + b'"}')
    connection = hasty.raw(whole[:-900])
    begin_s = time.monotonic()
    while not select.select([connection], [], [], 0.05)[0]:
        connection.sendall(b"x")
        assert time.monotonic() - begin_s < SOON_S
    answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"did not arrive within 0.5 s" in answer
    connection.close()


def test_a_client_that_never_reads(hasty, monkeypatch):
    """Its buffers fill, and after send_timeout_s the connection is dropped and its requests ended."""
    # Much text for a token, so that the buffers of both sides are full at once.
    from nano_engine.detokenizer import TextDecoder

    monkeypatch.setattr(TextDecoder, "feed", lambda self, tokens: "x" * 500_000 * len(tokens))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(hasty.address)
    body = json.dumps({"prompt": "x", "n": 8, "max_tokens": 30, "stream": True}).encode()
    connection.sendall(request_bytes("/v1/completions", body))
    wait_until(lambda: hasty.service.open)
    begin_s = time.monotonic()
    wait_until(lambda: not hasty.service.open)
    assert time.monotonic() - begin_s > 0.5
    hasty.require_all_back()
    connection.close()


def test_a_client_that_never_reads_a_whole_answer(hasty, monkeypatch):
    """The same for an answer in one piece, which is complete in the engine: the connection goes away."""
    from nano_engine.detokenizer import TextDecoder

    monkeypatch.setattr(TextDecoder, "feed", lambda self, tokens: "x" * 500_000 * len(tokens))
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(hasty.address)
    connection.sendall(request_bytes("/v1/completions", b'{"prompt": "x", "max_tokens": 20}'))
    wait_until(lambda: hasty.engine.get_stats()["total_requests_served"] == 1)
    state = hasty.server.server_state
    begin_s = time.monotonic()
    wait_until(lambda: not state.connections)
    assert time.monotonic() - begin_s > 0.3, "it was dropped before its time was up"
    hasty.require_all_back()
    connection.close()


def test_more_connections_than_allowed():
    with serving(limits={"max_connections": 8}) as served:
        idle = [served.raw(b"") for _ in range(8)]
        with served.raw(request_bytes("/health", b"", method="GET")) as connection:
            assert received(connection).startswith(b"HTTP/1.1 503 ")
        for connection in idle:
            connection.close()
        wait_until(lambda: served.http.get("/health").status_code == 200)


def test_a_storm_of_clients_that_leave():
    """200 connections that ask and hang up at once, some after the first bytes."""
    with serving(slow_engine(0.002), max_open_requests=256) as served:
        body = json.dumps({"prompt": "x", "n": 2, "max_tokens": 30, "stream": True}).encode()
        for i in range(200):
            connection = served.raw(request_bytes("/v1/completions", body))
            if i % 3 == 0:
                connection.recv(10)
            connection.close()
        served.require_all_back()
        stats = served.engine.get_stats()
        assert stats["total_requests_aborted"] > 0 and stats["total_requests_failed"] == 0
        assert served.complete("x", max_tokens=2)["usage"]["completion_tokens"] == 2


# Text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"prompt": "\xff\xfe"}',
        b'{"prompt": "\xed\xa0\x80"}',
        b"\x00\x01\x02",
        b"[" * 100_000,
        b'{"prompt":' * 10_000,
        '{"prompt": "x"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_invalid_utf8_and_invalid_json(server, body):
    if body[:2] == b"\xff\xfe":  # JSON may be sent so
        assert server.http.post("/v1/completions", content=body).status_code in (200, 400, 415, 422)
        return
    error = refused(server, body)
    assert error["type"] == "invalid_request_error" and error["message"]


def test_lone_surrogates(server):
    for field in ('"prompt": "\\ud800"', '"prompt": "x", "stop": "\\udfff"', '"prompt": "x", "\\ud800": 1'):
        refused(server, b"{%s}" % field.encode())
    chat = b'{"messages": [{"role": "user", "content": "\\ud83d"}]}'
    error = refused(server, chat, path="/v1/chat/completions")
    assert error["param"] == "messages[0].content" and "not valid Unicode" in error["message"]


def test_odd_but_valid_text_is_served(server):
    for text in ("\x00", "\u2028\u2029", "🙂", "\x1b[31m", "a\r\nb", "\ufeff"):
        assert server.complete(text, max_tokens=2, echo=True)["choices"][0]["text"].startswith(text)
        events = server.events(prompt=text, max_tokens=2, echo=True)
        assert "".join(e["choices"][0]["text"] for e in events).startswith(text)


@pytest.mark.parametrize(
    "content",
    [
        "{{ 7 * 7 }}",
        "{% for x in range(10**9) %}x{% endfor %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    ],
)
def test_template_injection(content):
    """What a message says is data to the template: it arrives in the prompt as it is."""
    seen = []
    with serving(template=TEMPLATE) as served:
        encode = served.service.engine._encode
        served.service.engine._encode = lambda prompt: seen.append(prompt) or encode("x")
        body = {"messages": [{"role": "user", "content": content, "name": "n"}], "max_tokens": 1}
        assert served.post("/v1/chat/completions", **body).status_code == 200
    assert seen == [f"user: {content}\nassistant:"]


@pytest.mark.parametrize(
    "template, sentence",
    [
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{% for x in range(10**9) %}x{% endfor %}", "too big"),
        ("{{ raise_exception('system first, please') }}", "system first, please"),
        ("{{ nothing_of_this_name }}", "undefined"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}xxxx{% endfor %}{% endfor %}",
            "too long a prompt",
        ),
        ("{% include '/etc/passwd' %}", "no loader"),
    ],
)
def test_a_template_that_is_not_harmless_is_a_refusal(template, sentence):
    """The operator wrote it, or found it somewhere: it runs in jinja2's sandbox all the same."""
    with serving(template=template) as served:
        response = served.post("/v1/chat/completions", messages=[{"role": "user", "content": "x"}])
        assert response.status_code == 400 and sentence in response.json()["error"]["message"]


# The way here


def test_a_page_elsewhere_cannot_ask_by_another_name(server):
    """DNS rebinding: a name of the attacker's that resolves to this machine is still in the Host header."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost.evil"):
        with server.raw(
            b"GET / HTTP/1.1\r\nConnection: close\r\nHost: %s\r\n\r\n" % host.encode()
        ) as connection:
            assert received(connection).startswith(b"HTTP/1.1 421 "), host
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8000"):
        assert server.http.get("/v1/models", headers={"host": host}).status_code == 200
    with serving(hosts=["llm.example"]) as named:
        assert named.http.get("/v1/models", headers={"host": "llm.example:443"}).status_code == 200
        assert named.http.get("/v1/models").status_code == 421
        named.http.headers["host"] = "llm.example"


def test_a_page_elsewhere_cannot_post_without_asking(server):
    """What a browser sends across sites without a preflight is a form or plain text: neither is taken, and
    a preflight is not allowed."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = server.http.post(
            "/v1/completions", content=b'{"prompt": "x"}', headers={"content-type": kind}
        )
        assert response.status_code in (400, 415, 422)
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    response = server.http.options("/v1/completions", headers=preflight)
    assert response.status_code == 405 and "access-control-allow-origin" not in response.headers


def test_paths_out_of_the_page_folder(server):
    for path in (b"/page/../app.py", b"/page/%2e%2e/app.py", b"/page/..%2fapp.py", b"/page//etc/passwd"):
        with server.raw(
            b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path
        ) as connection:
            assert received(connection).startswith(b"HTTP/1.1 404 "), path


def test_smuggled_requests(server):
    """Two lengths for one body: what one side takes for the rest, the other would take for a request."""
    second = request_bytes("/v1/models", b"", method="GET")
    for head in (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n",
    ):
        with server.raw(head + b"0\r\n\r\n" + second) as connection:
            connection.settimeout(1)
            try:
                answer = received(connection)
            except TimeoutError:
                answer = b""
        assert b'"object":"list"' not in answer or answer.count(b"HTTP/1.1 ") == 2 and b"chunked" in head


def test_security_headers_are_on_every_response(server):
    for path in ("/", "/page/page.js", "/v1/models", "/nothing"):
        headers = server.http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and "server" not in headers


def test_a_request_that_breaks_us_tells_nothing_of_us(server, monkeypatch):
    monkeypatch.setattr(server.service.engine, "submit", lambda *_: 1 / 0)
    response = server.post(prompt="x")
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "the server made a mistake; its log says which"
    assert "Zero" not in response.text and "File" not in response.text


def test_a_seed_is_not_told_and_an_id_cannot_be_guessed(server):
    ids = {server.complete("x", max_tokens=1)["id"] for _ in range(20)}
    assert len(ids) == 20 and all(len(each) == len("cmpl-") + 32 for each in ids)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
