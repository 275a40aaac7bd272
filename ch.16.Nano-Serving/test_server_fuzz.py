"""Bodies by chance: whatever is sent, the answer is a whole one or a refusal in one sentence that can be read."""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters

from ch16_serving import TEMPLATE, parse_events, serving
from ch16_testing import CONFIG
from ch16_testing import engine as small_engine
from nano_engine.server.protocol import UNSUPPORTED_FIELDS, ChatBody, CompletionBody

PATHS = {"/v1/completions": CompletionBody, "/v1/chat/completions": ChatBody}


@pytest.fixture(scope="module")
def server():
    with serving(small_engine("hash"), template=TEMPLATE) as served:
        yield served


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 30)
    | st.floats()
    | st.floats(-1, 2)
    | st.text(max_size=6)
    | st.sampled_from(["", "small", "user", "\ud800", "<|endoftext|>", "{{ x }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
token = st.integers(-1, CONFIG.vocab_size)
likely = {
    "prompt": st.text(max_size=12) | st.lists(st.text(max_size=5), max_size=3) | st.lists(token, max_size=9),
    "messages": st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "system", "assistant", "tool"]), "content": st.text(max_size=5)}
        ),
        max_size=3,
    ),
    "n": st.integers(1, 9),
    "max_tokens": st.integers(1, 50),
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True, "include_batch": True}),
    "seed": st.integers(-1, 2**64),
    "logit_bias": st.dictionaries(token.map(str), st.floats(-101, 101), max_size=3),
    "stop": st.text(max_size=2) | st.lists(st.text(max_size=2), max_size=5),
    "logprobs": st.integers(-1, 21) | st.booleans(),
    "top_logprobs": st.integers(-1, 21),
    "model": st.just("small"),
    "user": st.text(max_size=4),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0.01, 1),
    "top_k": st.integers(1, 400),
    "min_p": st.floats(0, 1),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "repetition_penalty": st.floats(0.1, 9),
    "min_tokens": st.integers(0, 3),
    "ignore_eos": st.booleans(),
    "echo": st.booleans(),
    "stop_token_ids": st.lists(token, max_size=2),
    "max_completion_tokens": st.integers(1, 50),
}


@st.composite
def bodies(draw, path: str) -> dict:
    """Mostly fields that there are, mostly with values that fit."""
    names = [*PATHS[path].model_fields, sorted(UNSUPPORTED_FIELDS)[0], "nonsense"]
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
    needed = "prompt" if path == "/v1/completions" else "messages"
    chosen += [needed] if draw(st.integers(0, 9)) and needed not in chosen else []
    return {
        name: draw(likely[name] if name in likely and draw(st.integers(0, 9)) else junk) for name in chosen
    }


@pytest.mark.parametrize("path", PATHS)
def test_any_body_is_answered_or_refused_in_a_sentence(server, path):
    statuses = {}

    @given(body=bodies(path))
    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    def check(body):
        response = server.http.post(
            path, content=json.dumps(body), headers={"content-type": "application/json"}
        )
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if response.status_code == 200:
            events = parse_events(response.text) if body.get("stream") else [response.json()]
            reasons = [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]]
            num_prompts = len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1
            if num_prompts and isinstance(body.get("prompt", [""])[0], int):
                num_prompts = 1
            assert len(reasons) == num_prompts * (body.get("n") or 1), "not one end for each answer"
            assert set(reasons) <= {"stop", "length", "timeout"}
        else:
            assert response.status_code in (400, 404), response.text
            error = response.json()["error"]
            assert set(error) == {"message", "type", "param", "code"} and len(error["message"]) < 400
            assert error["code"] and "Traceback" not in error["message"]
            if error["param"]:
                assert re.split(r"\W", error["param"])[0] in {*body, "prompt", "messages"}, error

    check()
    assert statuses.get(200, 0) >= 10 and statuses.get(400, 0) >= 10, statuses
    server.require_all_back()


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
