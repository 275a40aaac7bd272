"""What the engine can do, through the server: every sampling field, log-probabilities, the prefix cache."""

import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import openai
import pytest

import chapters

from ch16_serving import TEMPLATE, Slow, serving
from ch16_testing import TEXT, engine, tokenizer
from nano_engine import SamplingParams
from nano_engine.sampler import TokenLogprobs
from nano_engine.server.logprobs import LOWEST, LogprobsWriter

KEYS = ("the-key-of-one-tenant", "the-key-of-another")
PROMPT = TEXT[:40]


@pytest.fixture(scope="module")
def server():
    with serving(template=TEMPLATE, debug_cache=True) as served:
        yield served


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0) as client:
        yield client


def expected(prompt, **params):
    (request,) = engine("reference").generate([prompt], SamplingParams(**params))
    return request


# Sampling


@pytest.mark.parametrize(
    "field, value",
    [
        ("min_p", 0.3),
        ("top_k", 3),
        ("top_p", 0.2),
        ("presence_penalty", 1.5),
        ("frequency_penalty", -1.5),
        ("repetition_penalty", 3.0),
        ("logit_bias", {"7": 100, "9": -100}),
        ("min_tokens", 8),
        ("ignore_eos", True),
        ("stop_token_ids", [4, 5, 6]),
        ("stop", ["t", "n"]),
    ],
)
def test_a_field_does_what_it_does_in_the_engine(server, field, value):
    """With every field alone: the same text as from the engine itself."""
    ours = {int(k): v for k, v in value.items()} if isinstance(value, dict) else value
    for seed in range(3):
        asked = {"max_tokens": 12, "temperature": 0.9, "seed": seed}
        request = expected("To be", **asked, **{field: ours})
        choice = server.complete("To be", **asked, **{field: value})["choices"][0]
        assert (choice["text"], choice["finish_reason"]) == (request.output_text, request.finish_reason)


def test_each_of_these_fields_changes_something():
    """Otherwise the test above would pass with a field that is ignored on both sides."""
    plain = [expected("To be", max_tokens=12, temperature=0.9, seed=seed).output_tokens for seed in range(3)]
    for field, value in {
        "min_p": 0.3,
        "presence_penalty": 1.5,
        "frequency_penalty": -1.5,
        "repetition_penalty": 3.0,
        "logit_bias": {7: 100},
        "stop": ("t", "n"),
    }.items():
        asked = [{"max_tokens": 12, "temperature": 0.9, "seed": seed, field: value} for seed in range(3)]
        assert [expected("To be", **each).output_tokens for each in asked] != plain, field


def test_a_stop_text_is_never_streamed(server):
    """Not even the beginning of one that spans several tokens: the pieces are those of the whole answer."""
    text = expected(PROMPT[:9], max_tokens=20).output_text
    stop = text[8:11]
    whole = server.complete(PROMPT[:9], max_tokens=20, temperature=0, stop=stop)["choices"][0]
    events = server.events(prompt=PROMPT[:9], max_tokens=20, temperature=0, stop=stop)
    streamed = "".join(e["choices"][0]["text"] for e in events)
    assert streamed == whole["text"] == text[: text.index(stop)]
    assert whole["finish_reason"] == events[-1]["choices"][0]["finish_reason"] == "stop"


# Log-probabilities


def test_logprobs_of_a_completion(client):
    """The engine's own, with where in the text each token begins."""
    request = expected("To be", max_tokens=6, logprobs=3)
    answer = client.completions.create(model="small", prompt="To be", max_tokens=6, temperature=0, logprobs=3)
    logprobs = answer.choices[0].logprobs
    assert logprobs.token_logprobs == [entry.logprob for entry in request.logprobs]
    assert [list(top.values()) for top in logprobs.top_logprobs] == [
        [value for _, value in entry.top] for entry in request.logprobs
    ]
    offsets = [*logprobs.text_offset, len(answer.choices[0].text)]
    for token, begin, end in zip(logprobs.tokens, offsets, offsets[1:]):
        assert token == answer.choices[0].text[begin:end] or token.startswith("bytes:")


def test_logprobs_of_a_chat(client):
    messages = [{"role": "user", "content": "To be?"}]
    asked = {"model": "small", "messages": messages, "max_tokens": 6, "temperature": 0, "logprobs": True}
    answer = client.chat.completions.create(**asked, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    request = expected("user: To be?\nassistant:", max_tokens=6, logprobs=2)
    assert [each.logprob for each in content] == [entry.logprob for entry in request.logprobs]
    assert all(len(each.top_logprobs) == 2 for each in content)
    assert (
        bytes(b for each in content for b in each.bytes).decode(errors="replace")
        == answer.choices[0].message.content
    )
    without = client.chat.completions.create(**asked)
    assert all(each.top_logprobs == [] for each in without.choices[0].logprobs.content)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_streamed_logprobs_are_those_of_the_whole(server, path):
    """None is lost, also of a token in the middle of a character, whose chunk has no text."""
    if path == "/v1/completions":
        asked = {"prompt": "生", "logprobs": 2}
    else:
        asked = {"messages": [{"role": "user", "content": "生"}], "logprobs": True, "top_logprobs": 2}
    # Only tokens that are a part of a character: no chunk completes one.
    asked |= {"max_tokens": 6, "temperature": 0, "logit_bias": {str(first_byte_token()): 100}}
    whole = server.post(path, **asked).json()["choices"][0]["logprobs"]
    parts = [e["choices"][0]["logprobs"] for e in server.events(path, **asked)]
    for name in whole:
        if name != "refusal":
            assert [value for part in parts for value in part[name]] == whole[name], name
            assert len(whole[name]) == 6


def first_byte_token() -> int:
    """The token of the byte 0xe7, which begins a character of three."""
    from nano_engine.detokenizer import Detokenizer

    of_token = Detokenizer(tokenizer()).bytes_of_token
    return next(token for token, data in of_token.items() if data == b"\xe7")


def test_a_probability_of_zero_is_a_number_in_json():
    writer = LogprobsWriter(None)
    entries = [TokenLogprobs(3, -float("inf"), ((4, -0.5), (3, -float("inf"))))]
    for written in (writer.completion(entries), writer.chat(entries)):
        assert str(LOWEST) in json.dumps(written, allow_nan=False)


@pytest.mark.parametrize(
    "body, param",
    [
        ({"prompt": "x", "logprobs": 21}, "logprobs"),
        ({"prompt": "x", "logprobs": 2, "echo": True}, "echo"),
        ({"prompt": "x", "min_tokens": 17}, "min_tokens"),
        ({"prompt": "x", "logit_bias": {"999": 1}}, "logit_bias"),
        ({"prompt": "x", "user": "x" * 257}, "user"),
    ],
)
def test_what_the_engine_or_a_limit_refuses_is_named(server, body, param):
    error = server.post(**body).json()["error"]
    assert error["param"] == param and param in error["message"], error


def test_top_logprobs_needs_logprobs(server):
    body = {"messages": [{"role": "user", "content": "x"}], "top_logprobs": 1}
    assert server.post("/v1/chat/completions", **body).json()["error"]["param"] == "top_logprobs"


# The prefix cache


def cached(body: dict) -> int:
    return body["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_a_prompt_asked_again_is_cached_and_its_answer_is_the_same(client):
    """All whole pages of it but the last token: usage, stream and metrics say so."""
    with serving() as served, openai.OpenAI(base_url=served.url + "/v1", api_key="none") as ours:
        num_tokens = len(tokenizer().encode(PROMPT).ids)
        asked = {"model": "small", "prompt": PROMPT, "max_tokens": 4, "temperature": 0}
        cold, warm = (ours.completions.create(**asked) for _ in range(2))
        assert cold.choices[0].text == warm.choices[0].text
        assert cold.usage.prompt_tokens_details.cached_tokens == 0
        assert warm.usage.prompt_tokens_details.cached_tokens == (num_tokens - 1) // 4 * 4 > 0
        (last,) = [
            chunk
            for chunk in ours.completions.create(**asked, stream=True, stream_options={"include_usage": True})
            if chunk.usage is not None
        ]
        assert last.usage.prompt_tokens_details.cached_tokens == (num_tokens - 1) // 4 * 4
        text = served.http.get("/metrics").text
        assert f"nano_prefix_cache_queries_total {3.0 * num_tokens}\n" in text
        assert f"nano_prefix_cache_hits_total {2.0 * ((num_tokens - 1) // 4 * 4)}\n" in text


def test_tenants_and_users_do_not_share_prefixes():
    """What one has asked tells another nothing: neither the count nor the time of the first token."""
    one, another = ({"authorization": f"Bearer {key}"} for key in KEYS)
    body = {"prompt": PROMPT, "max_tokens": 1}

    def ask(headers, **more):
        return cached(served.http.post("/v1/completions", json=body | more, headers=headers).json())

    with serving(api_keys=KEYS) as served:
        assert ask(one) == 0
        assert ask(another) == 0, "another tenant's prompt was found in the cache"
        assert ask(one) > 0 and ask(another) > 0
        assert ask(one, user="ann") == 0, "another user's prompt was found in the cache"
        assert ask(one, user="ann") > 0
        assert ask(another, user="ann") == 0


class SlowByToken:
    """A model that takes its time for each token it reads, so that a cached prompt is answered sooner."""

    def __init__(self, model):
        self.model = model

    def step(self, tokens, *rest):
        return Slow(self.model, 0.01 * len(tokens)).step(tokens, *rest)


def test_cache_timing():
    """The attack itself: guess a prompt, time the answer. A guess is quick for its owner only."""

    def seconds(headers, prompt) -> float:
        response = served.http.post(
            "/v1/completions", json={"prompt": prompt, "max_tokens": 1}, headers=headers
        )
        assert response.status_code == 200
        return response.elapsed.total_seconds()

    secrets = [f"{i}: " + PROMPT[:30] for i in range(4)]
    owner, attacker = ({"authorization": f"Bearer {key}"} for key in KEYS)
    with serving(engine("reference", wrap=SlowByToken), api_keys=KEYS) as served:
        first = statistics.median(seconds(owner, prompt) for prompt in secrets)
        again = statistics.median(seconds(owner, prompt) for prompt in secrets)
        guess = statistics.median(seconds(attacker, prompt) for prompt in secrets)
    assert again < first / 2, "the cache is of no use, so this test shows nothing"
    assert guess > (first + again) / 2


def test_the_cache_can_be_looked_at_where_it_is_allowed(server):
    server.complete(PROMPT, max_tokens=1)
    nodes = server.http.get("/debug/cache").json()
    assert any(node["num_pages"] > 0 and node["last_use"] > 0 for node in nodes)
    assert sum(node["num_pages"] for node in nodes) == server.engine.get_stats()["num_cached_pages"]
    assert "To be" not in json.dumps(nodes) and all("tokens" not in node for node in nodes)
    with serving() as served:
        assert served.http.get("/debug/cache").status_code == 404


def test_preempted_answers_are_the_same():
    """Eight at once on few pages: some give theirs back, and nobody can tell from the answers."""
    few = engine("reference", kv_cache_pages=12, max_chunk_size=8)
    prompts = [TEXT[i : i + 10] for i in range(8)]
    with serving(few) as served:
        body = served.complete(prompts, max_tokens=15, temperature=0.8, seed=1)
        assert "nano_preemptions_total 0.0" not in served.http.get("/metrics").text
    for prompt, choice in zip(prompts, body["choices"]):
        assert choice["text"] == expected(prompt, max_tokens=15, temperature=0.8, seed=1).output_text


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
