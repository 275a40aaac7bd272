"""Two replicas behind one address, by Ray Serve: the same answers, prefixes, a lost replica, cancellations, drain.

Slow, and it needs the extra [ray]: python3 -m pip install "ray[serve]".
"""

import concurrent.futures
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx
import pytest

import chapters

from ch16_serving import parse_events, wait_until
from nano_engine import NanoServingEngine, SamplingParams

pytestmark = pytest.mark.slow
PATIENCE_S = 60
BEGINNINGS = [
    f"{name}:\n" + "Now is the winter of our discontent made glorious summer. " * 4 for name in "ABCD"
]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="module")
def cluster():
    """Its address and a function that asks every replica for its stats; the cluster is this process's own."""
    import os

    os.environ |= QUIET | {"PYTHONPATH": chapters.environment()["PYTHONPATH"]}
    import ray
    from ray import serve

    from nano_engine.scale_out.__main__ import APPLICATION, start
    from nano_engine.server.command import listen

    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    start(2)
    handle = serve.get_deployment_handle("replicas", APPLICATION)

    def stats() -> dict[str, dict]:
        found = {}
        end_s = time.monotonic() + PATIENCE_S
        while len(found) < 2 and time.monotonic() < end_s:
            answer = handle.stats.remote().result(timeout_s=10)
            found[answer["replica"]] = answer
        assert len(found) == 2
        return found

    yield f"http://127.0.0.1:{port}", stats
    serve.shutdown()
    ray.shutdown()


def ask(url: str, **body) -> dict:
    response = httpx.post(url + "/v1/completions", json=body, timeout=PATIENCE_S)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_same_answers_as_one_engine(cluster):
    url, stats = cluster
    prompts = ["To be, or", "My lord,", "ROMEO:", "O Romeo,"] * 6
    params = [SamplingParams(max_tokens=12, temperature=0.9, seed=seed) for seed in range(len(prompts))]
    expected = [r.output_text for r in NanoServingEngine.from_pretrained().generate(prompts, params)]
    before = {name: each["total_requests_served"] for name, each in stats().items()}
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        bodies = [
            {"prompt": prompt, "max_tokens": 12, "temperature": 0.9, "seed": seed}
            for seed, prompt in enumerate(prompts)
        ]
        answers = list(pool.map(lambda body: ask(url, **body), bodies))
        streamed = list(pool.map(lambda body: stream(url, **body), bodies))
    assert [answer["choices"][0]["text"] for answer in answers] == expected
    assert ["".join(e["choices"][0]["text"] for e in parse_events(text)) for text in streamed] == expected
    for name, each in stats().items():
        assert each["total_requests_served"] > before.get(name, 0), "a replica had nothing to do"


def stream(url: str, **body) -> str:
    return httpx.post(url + "/v1/completions", json=body | {"stream": True}, timeout=PATIENCE_S).text


def test_who_begins_alike_goes_to_one_replica(cluster):
    """Four beginnings, four questions each, mixed: every question but the first finds its beginning cached."""
    url, stats = cluster
    before = {name: each["total_requests_served"] for name, each in stats().items()}
    cached = []
    for turn in range(4):
        for beginning in BEGINNINGS:
            answer = ask(url, prompt=f"{beginning} Question {turn}?", max_tokens=2)
            cached.append(answer["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert cached[:4] == [0] * 4 and all(num >= 32 for num in cached[4:]), cached
    served = [each["total_requests_served"] - before[name] for name, each in stats().items()]
    assert sum(served) == 16 and all(num % 4 == 0 for num in served), served


def test_a_refusal_comes_through_as_it_is(cluster):
    url, _ = cluster
    response = httpx.post(url + "/v1/completions", json={"prompt": "x", "max_token": 1})
    assert response.status_code == 400 and response.json()["error"]["param"] == "max_token"
    assert httpx.post(url + "/v1/completions", content=b"x" * 2_000_000).status_code == 413
    assert httpx.get(url + "/v1/models").json()["data"][0]["id"] == "shakespeare"
    assert "nano_engine" in httpx.get(url + "/").text


def test_a_storm_of_cancellations_reaches_the_engines(cluster):
    url, stats = cluster
    body = {"prompt": "ROMEO:", "max_tokens": 900, "ignore_eos": True, "stream": True}

    def leave(i: int) -> None:
        with httpx.stream("POST", url + "/v1/completions", json=body, timeout=PATIENCE_S) as response:
            pieces = response.iter_bytes()
            for _ in range(i % 4):
                next(pieces)

    before = sum(each["total_requests_aborted"] for each in stats().values())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(leave, range(40)))

    def all_back() -> bool:
        return all(
            each["num_open_requests"] == 0
            and each["num_free_pages"] + each["num_cached_pages"] == each["num_total_pages"]
            for each in stats().values()
        )

    wait_until(all_back, PATIENCE_S)
    assert sum(each["total_requests_aborted"] for each in stats().values()) - before >= 20
    assert ask(url, prompt="x", max_tokens=2)["usage"]["completion_tokens"] == 2


def test_a_killed_replica_is_replaced_and_nobody_gets_a_false_end(cluster):
    """Streams on the killed replica break off; those on the other end well; new requests are answered."""
    import ray

    url, stats = cluster
    old = set(stats())
    names = [a["name"] for a in ray.util.list_named_actors(all_namespaces=True) if "#replicas#" in a["name"]]
    assert len(names) == 2
    body = {"prompt": "ROMEO:", "max_tokens": 900, "ignore_eos": True, "stream": True}

    def read(i: int) -> tuple[str, bool]:
        """What came, and whether the stream broke off or never began."""
        text = ""
        try:
            with httpx.stream(
                "POST", url + "/v1/completions", json=body | {"seed": i}, timeout=PATIENCE_S
            ) as r:
                for piece in r.iter_text():
                    text += piece
        except httpx.HTTPError:
            return text, True
        if r.is_error:  # it had not begun: an error says so, and nothing is broken off
            assert r.status_code >= 500 and "replica_lost" in text, text
        return text, r.is_error

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        reading = [pool.submit(read, i) for i in range(24)]  # more than max_imbalance: both have some
        wait_until(lambda: all(each["num_running_requests"] for each in stats().values()), PATIENCE_S)
        ray.kill(ray.get_actor(names[0], namespace="serve"))
        answers = [each.result(PATIENCE_S) for each in reading]
    num_whole = sum("[DONE]" in text for text, _ in answers)
    assert 0 < num_whole < 24, f"{num_whole} of 24 streams had an end"
    for text, broken in answers:
        assert broken == ("[DONE]" not in text)
        if "[DONE]" in text:
            assert parse_events(text)[-1]["choices"][0]["finish_reason"] == "length"
        else:
            assert '"finish_reason":"' not in text
    for _ in range(10):
        assert ask(url, prompt="x", max_tokens=2)["usage"]["completion_tokens"] == 2
    wait_until(lambda: len(set(stats()) - old) == 1, PATIENCE_S)


def test_sigterm_drains_the_whole_application():
    """The command itself: an answer that is being written ends well, then the process ends with status 0."""
    command = [sys.executable, "-m", "nano_engine.scale_out", "--replicas", "1", "--port", "0"]
    environment = chapters.environment() | QUIET
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = next(m[1] for line in process.stderr if (m := re.match(r"ready: (\S+) with 1 replicas", line)))
        body = {"prompt": "ROMEO:", "max_tokens": 900, "ignore_eos": True, "stream": True}
        text = ""
        with httpx.stream("POST", url + "/v1/completions", json=body, timeout=PATIENCE_S) as response:
            for piece in response.iter_text():
                if not text:
                    process.send_signal(signal.SIGTERM)
                text += piece
        assert parse_events(text)[-1]["choices"][0]["finish_reason"] == "length"
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
