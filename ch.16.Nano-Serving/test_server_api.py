"""The server as its clients see it: OpenAI's own client and plain HTTP."""

import asyncio
import pathlib
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx
import openai
import pytest

import chapters

from ch16_serving import PATIENCE_S, TEMPLATE, parse_events, serving, slow_engine, wait_until
from ch16_testing import TEXT, engine, tokenizer
from nano_engine import SamplingParams

KEY = "a-key-for-the-tests"


@pytest.fixture(scope="module")
def server():
    with serving(template=TEMPLATE) as served:
        yield served


@pytest.fixture(scope="module")
def slow():
    with serving(slow_engine()) as served:
        yield served


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def expected(prompt, **params) -> str:
    (request,) = engine("reference").generate([prompt], SamplingParams(**params))
    return request.output_text


# OpenAI's client


def test_completion(client):
    answer = client.completions.create(model="small", prompt="To be", max_tokens=7, temperature=0)
    assert answer.choices[0].text == expected("To be", max_tokens=7)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.prompt_tokens == len(tokenizer().encode("To be").ids)
    assert answer.usage.completion_tokens == 7
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 7
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0
    assert answer.object == "text_completion" and answer.model == "small" and answer.id.startswith("cmpl-")


def test_streamed_completion_is_the_whole_one(client):
    asked = {"model": "small", "prompt": TEXT[:12], "max_tokens": 15, "temperature": 0.9, "seed": 5}
    whole = client.completions.create(**asked)
    chunks = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks[:-1]) == whole.choices[0].text
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
    assert all(c.usage is None for c in chunks[:-1]) and len({c.id for c in chunks}) == 1


def test_chat(client):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "To be?"}]
    prompt = "system: Be brief.\nuser: To be?\nassistant:"
    asked = {"model": "small", "messages": messages, "temperature": 0, "max_completion_tokens": 6}
    answer = client.chat.completions.create(**asked)
    assert answer.choices[0].message.content == expected(prompt, max_tokens=6)
    assert answer.choices[0].message.role == "assistant" and answer.id.startswith("chatcmpl-")
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == answer.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "length"


def test_chat_content_in_parts_is_the_same(server):
    def ask(content):
        body = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 4}
        return server.post("/v1/chat/completions", **body).json()["choices"][0]["message"]["content"]

    parts = [{"type": "text", "text": "To "}, {"type": "text", "text": "be?"}]
    assert ask(parts) == ask("To be?")


def test_models(client):
    assert [model.id for model in client.models.list()] == ["small"]
    assert client.models.retrieve("small").owned_by == "nano_engine"
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        client.models.retrieve("other")
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'; this server has 'small'"):
        client.completions.create(model="other", prompt="To be")


def test_errors_reach_the_client_as_sentences(client):
    with pytest.raises(openai.BadRequestError, match="input should be less than or equal to 2") as raised:
        client.completions.create(model="small", prompt="To be", temperature=3)
    assert raised.value.param == "temperature" and raised.value.code == "invalid_value"
    with pytest.raises(openai.BadRequestError, match="the model reads at most 40"):
        client.completions.create(model="small", prompt=TEXT)
    with pytest.raises(openai.BadRequestError, match="prompt is empty: expected at least one token"):
        client.completions.create(model="small", prompt="")


def test_asyncio_client_many_at_once(server):
    """Forty at once get what each gets alone."""
    alone = [server.complete(TEXT[i : i + 6], seed=i, max_tokens=6)["choices"][0]["text"] for i in range(40)]

    async def main():
        async with openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none") as client:

            async def ask(i):
                stream = await client.completions.create(
                    model="small", prompt=TEXT[i : i + 6], seed=i, max_tokens=6, stream=True
                )
                return "".join([chunk.choices[0].text async for chunk in stream])

            return await asyncio.gather(*map(ask, range(40)))

    assert asyncio.run(main()) == alone


# n, several prompts, echo


def test_n_and_several_prompts(server):
    """Choices in the order of the prompts; the k-th answer has the seed given plus k."""
    prompts = ["To be", "or not", "To"]
    body = server.complete(prompts, n=2, seed=7, max_tokens=5)
    assert [choice["index"] for choice in body["choices"]] == list(range(6))
    for i, choice in enumerate(body["choices"]):
        asked = {"max_tokens": 5, "temperature": 1.0, "seed": 7 + i % 2}
        assert choice["text"] == expected(prompts[i // 2], **asked)
    lengths = [len(tokenizer().encode(p).ids) for p in prompts]
    assert body["usage"]["prompt_tokens"] == sum(lengths) and body["usage"]["completion_tokens"] == 30


def test_streams_of_n_have_each_one_end(server):
    whole = server.complete("To be", n=3, seed=1, max_tokens=6)
    texts, ends = [""] * 3, [0] * 3
    for event in server.events(prompt="To be", n=3, seed=1, max_tokens=6):
        (choice,) = event["choices"]
        assert ends[choice["index"]] == 0
        texts[choice["index"]] += choice["text"]
        ends[choice["index"]] += choice["finish_reason"] is not None
    assert ends == [1, 1, 1] and texts == [choice["text"] for choice in whole["choices"]]


def test_echo(server):
    plain = server.complete("To be", max_tokens=4, temperature=0)["choices"][0]["text"]
    assert (
        server.complete("To be", max_tokens=4, temperature=0, echo=True)["choices"][0]["text"]
        == "To be" + plain
    )
    tokens = tokenizer().encode("To be").ids
    events = server.events(prompt=tokens, max_tokens=4, temperature=0, echo=True)
    assert "".join(e["choices"][0]["text"] for e in events) == "To be" + plain


def test_a_chunk_says_what_it_shared_its_step_with(server):
    events = server.events(
        prompt=["To be"] * 3, max_tokens=4, stream_options={"include_batch": True}, temperature=0
    )
    assert {e["batch"]["requests"] for e in events} == {3}
    assert all(set(e["batch"]) == {"requests", "tokens", "cached_tokens"} for e in events)


def test_sampling_fields_do_what_the_engine_does(server):
    asked = {"max_tokens": 9, "temperature": 0.7, "top_k": 5, "top_p": 0.8, "seed": 3}
    assert server.complete("To be", **asked)["choices"][0]["text"] == expected("To be", **asked)
    greedy = server.complete("To be", max_tokens=9, temperature=0)["choices"][0]["text"]
    (request,) = engine("reference").generate(["To be"], SamplingParams(max_tokens=9))
    stop = request.output_tokens[4]
    ended = server.complete("To be", max_tokens=9, temperature=0, stop_token_ids=[stop])["choices"][0]
    assert ended["finish_reason"] == "stop" and greedy.startswith(ended["text"]) and ended["text"] != greedy


# What is refused, by name


@pytest.mark.parametrize(
    "body, param, sentence",
    [
        ({"max_token": 3}, "max_token", "max_token is no field of this request"),
        ({"suffix": "x"}, "suffix", "suffix is not supported by this server"),
        ({"best_of": 2}, "best_of", "best_of is not supported"),
        ({"chat_template": "{{ x }}"}, "chat_template", "chat_template is not supported"),
        ({"n": 9}, "n", "n must be at most 8, got 9"),
        ({"n": 0}, "n", "n: input should be greater than or equal to 1, got 0"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens: .*, got 0"),
        ({"max_tokens": 1.5}, "max_tokens", "max_tokens: .*valid integer.*, got 1.5"),
        ({"max_tokens": True}, "max_tokens", "max_tokens: .*valid integer"),
        ({"temperature": "hot"}, "temperature", "temperature: .*valid number.*, got 'hot'"),
        ({"top_p": 0}, "top_p", "top_p: .*greater than 0"),
        ({"seed": -1}, "seed", "seed: .*greater than or equal to 0"),
        ({"stop": ["a"] * 5}, "stop", "stop has 5 texts; at most 4"),
        ({"stop": "a" * 65}, "stop", "stop has 65 characters in one text; at most 64"),
        ({"stop": [""]}, "stop", "none of them empty"),
        ({"stop_token_ids": [-1]}, "stop_token_ids", r"stop_token_ids\[0\] must be at least 0"),
        ({"stop_token_ids": [10**9]}, "stop_token_ids", "stop_token_ids must be between 0 and 306"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "must be a token id in decimal, got 'x'"),
        ({"logit_bias": {"1": 101}}, "logit_bias", "between -100 and 100, got 101"),
        ({"prompt": []}, "prompt", "and not empty"),
        ({"prompt": ["a", 1]}, "prompt", "all elements must be of one kind"),
        ({"prompt": [[]]}, "prompt", "and not empty"),
        ({"prompt": ["a"] * 17}, "prompt", "prompt has 17 prompts; at most 16"),
        ({"prompt": [99999]}, "prompt", r"prompt\[0\] must be between 0 and 306, got 99999"),
        ({"prompt": [1] * 41}, "prompt", "prompt has 41 tokens; at most 40"),
        ({"stream_options": {}}, "stream_options", "stream_options needs stream: true"),
        ({"stream": True, "stream_options": {"x": 1}}, "stream_options.x", "no field of this request"),
        ({"timeout_s": 0}, "timeout_s", "greater than 0"),
        ({"prompt": None}, "prompt", "must be a text, a list of texts"),
    ],
)
def test_a_field_that_cannot_be_served_is_named(server, body, param, sentence):
    response = server.post(**{"prompt": "To be"} | body)
    error = response.json()["error"]
    assert response.status_code == 400 and error["type"] == "invalid_request_error"
    assert error["param"] == param and re.search(sentence, error["message"]), error


@pytest.mark.parametrize(
    "body, param, sentence",
    [
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "should be 'system'"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", r"messages\[0\].content is missing"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
            "must be",
        ),
        ({"tools": []}, "tools", "tools is not supported by this server"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_completion_tokens", "not both"),
        ({"prompt": "x"}, "prompt", "prompt is no field of this request"),
        ({"messages": [{"role": "user", "content": "x" * 70_000}]}, "messages", "at most 65536"),
        (
            {"messages": [{"role": "user", "content": "a<|endoftext|>b"}]},
            "messages[0].content",
            "special token <|endoftext|>".replace("|", r"\|"),
        ),
    ],
)
def test_a_chat_field_that_cannot_be_served_is_named(server, body, param, sentence):
    response = server.post("/v1/chat/completions", **{"messages": [{"role": "user", "content": "x"}]} | body)
    error = response.json()["error"]
    assert response.status_code == 400 and error["param"] == param
    assert re.search(sentence, error["message"]), error


def test_without_a_template_chat_says_why(slow):
    response = slow.post("/v1/chat/completions", messages=[{"role": "user", "content": "x"}])
    error = response.json()["error"]
    assert response.status_code == 400 and error["code"] == "no_chat_template"
    assert "--chat-template FILE" in error["message"] and "/v1/completions" in error["message"]


def test_what_is_not_there(server):
    assert server.http.get("/v2").json()["error"]["message"] == "there is nothing at /v2"
    error = server.http.get("/v1/completions").json()["error"]["message"]
    assert error == "/v1/completions does not take GET"


# Ending early


def test_cancel_by_id(slow):
    """The stream ends with reason "abort" and its [DONE], and the id is free again."""
    with slow.http.stream(
        "POST", "/v1/completions", json={"prompt": "x", "max_tokens": 30, "stream": True}
    ) as r:
        request_id = r.headers["x-request-id"]
        text = ""
        for piece in r.iter_text():
            if not text:
                done = slow.http.post(f"/v1/requests/{request_id}/cancel")
                assert done.json() == {"id": request_id, "object": "request.cancel", "cancelled": True}
            text += piece
    assert parse_events(text)[-1]["choices"][0]["finish_reason"] == "abort"
    gone = slow.http.post(f"/v1/requests/{request_id}/cancel")
    assert gone.status_code == 404 and "is open" in gone.json()["error"]["message"]


def test_cancel_of_an_answer_that_is_not_streamed_by_an_id_of_ones_own(slow):
    answers = []
    headers = {"x-request-id": "my-request"}
    body = {"prompt": "x", "max_tokens": 30}

    def ask():
        answers.append(httpx.post(slow.url + "/v1/completions", json=body, headers=headers).json())

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: slow.service.open and slow.engine.get_stats()["num_running_requests"])
    again = slow.http.post("/v1/completions", json=body, headers=headers)
    assert again.status_code == 409 and again.json()["error"]["code"] == "duplicate_id"
    assert slow.http.post("/v1/requests/cmpl-my-request/cancel").status_code == 200
    thread.join(PATIENCE_S)
    assert answers[0]["choices"][0]["finish_reason"] == "abort" and answers[0]["id"] == "cmpl-my-request"
    assert answers[0]["usage"]["completion_tokens"] < 30
    bad = slow.http.post("/v1/completions", json=body, headers={"x-request-id": "a b"})
    assert bad.status_code == 400 and bad.json()["error"]["param"] == "x-request-id"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_its_request(slow, stream):
    before = slow.engine.get_stats()["total_requests_aborted"]
    body = {"prompt": "x", "max_tokens": 38, "stream": stream}
    with (
        pytest.raises(httpx.ReadTimeout),
        httpx.stream("POST", slow.url + "/v1/completions", json=body, timeout=0.2) as response,
    ):
        for _ in response.iter_bytes():
            raise httpx.ReadTimeout("enough")
    wait_until(lambda: slow.engine.get_stats()["total_requests_aborted"] == before + 1)
    slow.require_all_back()


def test_deadline(slow):
    answer = slow.complete("x", max_tokens=38, timeout_s=1)
    assert answer["choices"][0]["finish_reason"] == "timeout"
    assert 0 < answer["usage"]["completion_tokens"] < 38
    events = slow.events(prompt="x", max_tokens=38, timeout_s=1)
    assert events[-1]["choices"][0]["finish_reason"] == "timeout"


def test_a_full_queue_is_429_with_retry_after():
    with serving(slow_engine(), max_open_requests=2) as served:
        body = {"prompt": "x", "max_tokens": 30, "stream": True}
        with served.http.stream("POST", "/v1/completions", json=body) as first:
            pieces = first.iter_bytes()  # to let go of it would be to leave
            next(pieces)
            refused = served.post(prompt="x", n=2)
            assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
            error = refused.json()["error"]
            assert error["type"] == "rate_limit_error" and "1 of at most 2 wait or run" in error["message"]
            assert served.complete("x", max_tokens=1)["usage"]["completion_tokens"] == 1
            # The official client waits and asks again by itself.
        with openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=4) as client:
            with served.http.stream(
                "POST", "/v1/completions", json=body | {"n": 2, "max_tokens": 20}
            ) as first:
                pieces = first.iter_bytes()
                next(pieces)
                thread = threading.Thread(target=list, args=(pieces,))
                thread.start()
                answer = client.completions.create(model="small", prompt="x", max_tokens=1)
                thread.join()
            assert answer.usage.completion_tokens == 1


# A failing engine


def test_a_failing_step_is_an_error_event_and_a_500(monkeypatch):
    failing = engine("reference")
    with serving(failing) as served:
        executor = failing._batcher.executor
        monkeypatch.setattr(executor, "run", lambda batch: 1 / 0)
        response = served.post(prompt="x")
        assert response.status_code == 500 and response.json()["error"]["type"] == "server_error"
        assert "ZeroDivisionError" in response.json()["error"]["message"]
        (event,) = served.events(prompt="x")
        assert "ZeroDivisionError" in event["error"]["message"]
        client = openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=0)
        with client, pytest.raises(openai.APIError, match="ZeroDivisionError"):
            list(client.completions.create(model="small", prompt="x", stream=True))
        monkeypatch.undo()
        assert served.complete("x", max_tokens=2)["usage"]["completion_tokens"] == 2


# Watching


def test_health_and_metrics(server):
    assert server.http.get("/health").json() == {"status": "ok"}
    before = metrics(server)
    server.complete("To be", max_tokens=5)
    server.events(prompt="To be", max_tokens=5)
    server.post(prompt="To be", nonsense=1)
    after = metrics(server)

    def grown(name):
        return after[name] - before.get(name, 0)

    assert grown("nano_generation_tokens_total") == 10
    assert grown("nano_time_to_first_token_seconds_count") == 2
    assert grown("nano_inter_token_latency_seconds_count") == 8
    assert grown("nano_request_latency_seconds_count") == 2
    assert grown('nano_requests_ended_total{how="served"}') == 2
    assert grown('nano_http_responses_total{path="/v1/completions",status="400"}') == 1
    assert (
        after["nano_requests_running"] == after["nano_requests_waiting"] == after["nano_requests_open"] == 0
    )
    assert after["nano_kv_cache_pages"] == 256
    server.http.get("/" + "x" * 50)
    assert not any("xxx" in name for name in metrics(server)), "a client made a time series"


def metrics(served) -> dict[str, float]:
    text = served.http.get("/metrics").text
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line[0] != "#"
    }


def test_the_first_token_is_timed_from_the_arrival(slow):
    """100 ms a step: the histograms say so."""
    slow.complete("x", max_tokens=6)
    values = metrics(slow)
    mean = values["nano_inter_token_latency_seconds_sum"] / values["nano_inter_token_latency_seconds_count"]
    assert 0.09 < mean < 0.5
    assert values["nano_time_to_first_token_seconds_sum"] > 0.09


# Keys


def test_keys_cover_all_but_health():
    with serving(api_keys=(KEY, KEY + "2")) as served:
        paths = ["/", "/v1/models", "/metrics", "/openapi.json", "/page/page.js", "/debug/cache", "/nothing"]
        for path in paths:
            refused = served.http.get(path)
            assert refused.status_code == 401, path
            assert refused.json()["error"]["code"] == "invalid_api_key"
            assert refused.headers["www-authenticate"].startswith("Basic")
        assert served.post(prompt="x").status_code == 401
        assert served.http.get("/health").status_code == 200
        for wrong in (KEY[:-1], KEY + "x", "é" * 9):
            header = {"authorization": f"Bearer {wrong}".encode()}
            assert served.http.get("/v1/models", headers=header).status_code == 401
        for given in (KEY, KEY + "2"):
            assert (
                served.http.get("/v1/models", headers={"authorization": f"Bearer {given}"}).status_code == 200
            )
        assert served.http.get("/", auth=("anybody", KEY)).status_code == 200
        assert served.http.get("/", auth=("anybody", "wrong")).status_code == 401
        with openai.OpenAI(base_url=served.url + "/v1", api_key=KEY) as client:
            assert (
                client.completions.create(model="small", prompt="x", max_tokens=1).choices[0].text is not None
            )
        client = openai.OpenAI(base_url=served.url + "/v1", api_key="wrong")
        with client, pytest.raises(openai.AuthenticationError, match="an API key is needed"):
            client.models.list()


def test_one_key_cannot_cancel_what_another_asked():
    with serving(slow_engine(), api_keys=(KEY, KEY + "2")) as served:
        mine, other = ({"authorization": f"Bearer {key}"} for key in (KEY, KEY + "2"))
        body = {"prompt": "x", "max_tokens": 20, "stream": True}
        with served.http.stream("POST", "/v1/completions", json=body, headers=mine) as response:
            path = f"/v1/requests/{response.headers['x-request-id']}/cancel"
            pieces = response.iter_bytes()  # to let go of it would be to leave
            next(pieces)
            assert served.http.post(path, headers=other).status_code == 404
            assert served.http.post(path, headers=mine).status_code == 200


@pytest.mark.parametrize("key", ["", "short", "with a space in it", "schlüssel-lang"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(ValueError, match="at least 8 visible ASCII characters"):
        serving(api_keys=(key,)).__enter__()


def test_streams_ping_while_there_is_no_news():
    with serving(slow_engine(0.4), limits={"ping_s": 0.1}) as served:
        response = served.http.post("/v1/completions", json={"prompt": "x", "max_tokens": 2, "stream": True})
        assert response.text.count(": still here\n\n") >= 2 and response.text.endswith("data: [DONE]\n\n")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
