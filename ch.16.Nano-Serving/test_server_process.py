"""`python -m nano_engine serve` as a process: begin, signals, an end without warning, a crafted model folder."""

import contextlib
import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import httpx
import openai
import pytest

import chapters

from ch16_serving import PATIENCE_S, parse_events, save_model, wait_until
from nano_engine import NanoServingEngine, SamplingParams
from nano_engine.__main__ import main

SLOW = (
    "import time, sys, nano_engine.engine as e; step = e.NanoServingEngine._step\n"
    "e.NanoServingEngine._step = lambda self: (time.sleep(0.1), step(self))[1]\n"
    "import nano_engine.__main__ as m; sys.exit(m.main(sys.argv[1:]))"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """The small model in Hugging Face's format."""
    path = tmp_path_factory.mktemp("small-model")
    return save_model(path)


class Process:
    def __init__(self, *arguments, slow: bool = False, **variables: str):
        command = [sys.executable, *(("-c", SLOW) if slow else ("-m", "nano_engine")), "serve", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            env=chapters.environment() | variables,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if ready := re.match(r"ready: (http://127\.0\.0\.1:\d+) ", line):
                self.url = ready[1]
                break
        else:
            raise AssertionError("".join(self.lines))
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def end(self, number: int) -> tuple[int, str]:
        """The exit status and what was said on stderr, after this signal."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


@contextlib.contextmanager
def process(*arguments, **options):
    running = Process(*arguments, **options)
    try:
        yield running
    finally:
        running.http.close()
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def fails(capsys):
    """fails(…) is what a server that must not begin says; it runs in this process, which is faster."""

    def run(*arguments) -> str:
        assert main(["serve", "--port", "0", *map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("error: ") and err.count("\n") == 1, err
        return err

    return run


ASKED = {"prompt": "To be", "max_tokens": 30, "seed": 3, "ignore_eos": True}


class Streaming(threading.Thread):
    """Reads one stream to its end, or to what ends it."""

    def __init__(self, server: Process, **body):
        super().__init__(daemon=True)
        self.server, self.body, self.text, self.failure = server, ASKED | {"stream": True} | body, "", None
        self.start()
        wait_until(lambda: self.text or self.failure)

    def run(self):
        try:
            with httpx.stream(
                "POST", self.server.url + "/v1/completions", json=self.body, timeout=60
            ) as response:
                for piece in response.iter_text():
                    self.text += piece
        except httpx.HTTPError as failure:
            self.failure = failure


def answer(events: list[dict]) -> str:
    return "".join(event["choices"][0]["text"] for event in events)


def test_sigterm_in_the_middle_of_a_stream(folder):
    """The answer goes on to its end, and then the process ends with status 0; nobody new is let in."""
    with process("--model", folder, slow=True) as server:
        stream = Streaming(server)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server.url))
        assert server.process.poll() is None and "[DONE]" not in stream.text
        stream.join(PATIENCE_S)
        assert stream.failure is None
        events = parse_events(stream.text)
        assert events[-1]["choices"][0]["finish_reason"] == "length"
        (expected,) = NanoServingEngine.from_pretrained(folder).generate(
            ["To be"], SamplingParams(max_tokens=30, temperature=1.0, seed=3, ignore_eos=True)
        )
        assert answer(events) == expected.output_text
        assert server.process.wait(PATIENCE_S) == 0
        assert server.process.stderr.read() == "stopping: 1 open answers may go on\n"


def test_a_drain_that_takes_too_long_ends_the_answers(folder):
    with process("--model", folder, "--limit", "drain_timeout_s=0.3", slow=True) as server:
        stream = Streaming(server)
        status, _ = server.end(signal.SIGTERM)
        stream.join(PATIENCE_S)
        assert status == 0 and stream.failure is None
        assert parse_events(stream.text)[-1]["choices"][0]["finish_reason"] == "abort"


def test_requests_on_an_open_connection_while_draining(folder):
    with process("--model", folder, slow=True) as server:
        stream = Streaming(server)
        idle = httpx.Client(base_url=server.url)
        idle.get("/health")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server.url))
        with pytest.raises(httpx.TransportError):  # its idle connection was closed, and there is no new one
            idle.get("/health")
        idle.close()
        stream.join(PATIENCE_S)
        assert stream.failure is None


def refuses(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=1).close()
    except OSError:
        return True
    return False


def test_ctrl_c_ends_it_with_status_0(folder):
    with process("--model", folder) as server:
        assert server.http.get("/health").status_code == 200
        status, err = server.end(signal.SIGINT)
        assert status == 0 and "Traceback" not in err


def test_kill_9_and_restart(folder):
    """Clients see the connection break, never a false end; the next process on the port answers the same."""
    with process("--model", folder, slow=True) as server:
        port = server.url.rpartition(":")[2]
        whole = server.http.post("/v1/completions", json=ASKED).json()["choices"][0]["text"]
        stream = Streaming(server)
        server.process.kill()
        stream.join(PATIENCE_S)
        assert isinstance(stream.failure, httpx.RemoteProtocolError | httpx.ReadError)
        assert "[DONE]" not in stream.text and '"finish_reason":"' not in stream.text
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
        with client, pytest.raises(openai.APIConnectionError):
            client.models.list()
    with process("--model", folder, "--port", port) as server:
        assert server.http.post("/v1/completions", json=ASKED).json()["choices"][0]["text"] == whole


def test_the_name_the_keys_and_the_template(folder, tmp_path):
    (tmp_path / "keys").write_text("first-key-of-two\n\nsecond-key-of-two\n")
    (tmp_path / "template").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    options = (
        "--api-key-file",
        tmp_path / "keys",
        "--chat-template",
        tmp_path / "template",
        "--name",
        "little",
    )
    with process("--model", folder, *options, NANO_ENGINE_API_KEY="a-third-in-the-environment") as server:
        assert server.http.get("/v1/models").status_code == 401
        for key in ("first-key-of-two", "second-key-of-two", "a-third-in-the-environment"):
            headers = {"authorization": f"Bearer {key}"}
            (model,) = server.http.get("/v1/models", headers=headers).json()["data"]
            assert model["id"] == "little" and model["has_chat_template"]
        body = {"messages": [{"role": "user", "content": "To be"}], "temperature": 0, "max_tokens": 3}
        chat = server.http.post("/v1/chat/completions", json=body, headers=headers).json()
        body = {"prompt": "To be", "temperature": 0, "max_tokens": 3}
        plain = server.http.post("/v1/completions", json=body, headers=headers).json()
        assert chat["choices"][0]["message"]["content"] == plain["choices"][0]["text"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("--port", "70000"), "error: --port must be between 0 and 65535, got 70000"),
        (("--host", "no.such.host.invalid"), "error: --host 'no.such.host.invalid' is no address"),
        (("--host", "192.0.2.1"), "error: cannot listen at 192.0.2.1 port 0"),
        (("--api-key", "short"), "error: an API key must have at least 8"),
        (("--api-key-file", "/nowhere"), "error: .*No such file.*'/nowhere'"),
        (("--limit", "max_n=0"), "error: max_n must be a whole number of at least 1, got 0"),
        (("--limit", "max_n=x"), "error: max_n must be a whole number, got 'x'"),
        (("--limit", "max_m=1"), "error: there is no limit 'max_m'; there are: max_header_bytes, "),
        (("--limit", "ping_s=nan"), "error: ping_s must be a number of seconds above 0, got nan"),
        (("--model", "/nowhere/at/all"), "error: .*/nowhere/at/all"),
        (("--kv-cache-pages", "0"), "error: .*0"),
        (("--dtype", "float13"), "error: .*float13"),
    ],
)
def test_mistakes_are_one_sentence(folder, fails, arguments, sentence):
    model = () if "--model" in arguments else ("--model", folder)
    assert re.match(sentence, fails(*model, *arguments))


def test_a_port_in_use_is_said_before_the_model_is_loaded(fails):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = fails("--model", "/nowhere/at/all", "--port", port)
    assert said == f"error: port {port} of 127.0.0.1 is in use; choose another with --port\n"


def test_a_template_with_a_mistake_is_said_at_the_beginning(folder, fails, tmp_path):
    (tmp_path / "template").write_text("line\n{% for %}")
    assert fails("--model", folder, "--chat-template", tmp_path / "template").startswith(
        "error: the chat template, line 2: "
    )


def test_the_limits_are_printed(capsys):
    assert main(["serve", "--limits", "--limit", "max_n=3"]) == 0
    assert re.search(r"^max_n +3  answers to one prompt$", capsys.readouterr().out, re.M)


def test_without_its_packages_it_says_what_to_install(fails, monkeypatch):
    monkeypatch.delitem(sys.modules, "nano_engine.server.command", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert fails().startswith("error: the server needs the package uvicorn: python3 -m pip install ")


# A model folder that somebody made to be loaded by others


class Bomb:
    def __init__(self, marker: pathlib.Path):
        self.marker = marker

    def __reduce__(self):
        return (os.system, (f"touch {self.marker}",))


def test_a_crafted_model_folder_runs_no_code(folder, fails, tmp_path):
    """A pickle under every name that some library would open, and a config that asks for code from the
    folder: with the real weights beside them the model is served, without them it is refused."""
    marker = tmp_path / "ran"
    crafted = tmp_path / "crafted"
    shutil.copytree(folder, crafted)
    bomb = pickle.dumps(Bomb(marker))
    for name in (
        "pytorch_model.bin",
        "model.bin",
        "model.pt",
        "model.pkl",
        "training_args.bin",
        "weights.npy",
    ):
        (crafted / name).write_bytes(bomb)
    evil = f"open({str(marker)!r}, 'w')\nclass Model:\n    pass\n"
    for name in ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py", "sitecustomize.py"):
        (crafted / name).write_text(evil)
    config = json.loads((crafted / "config.json").read_text())
    config["auto_map"] = {
        "AutoModelForCausalLM": "modeling_evil.Model",
        "AutoConfig": "configuration_evil.Model",
    }
    config["architectures"] = ["modeling_evil.Model"]
    (crafted / "config.json").write_text(json.dumps(config))
    (crafted / "chat_template.jinja").write_text("{{ 7 * 7 }}")
    with process("--model", crafted) as server:
        body = {"messages": [{"role": "user", "content": "x"}]}
        assert (
            server.http.post("/v1/chat/completions", json=body).json()["error"]["code"] == "no_chat_template"
        )
        assert server.http.post("/v1/completions", json={"prompt": "x"}).status_code == 200
    (crafted / "model.safetensors").unlink()
    assert "safetensors" in fails("--model", crafted)
    (crafted / "model.safetensors").write_bytes(bomb)
    assert "safetensors" in fails("--model", crafted)
    assert not marker.exists()


@pytest.mark.parametrize("length", [2**63 - 1, 2**40, 10**9, 0])
def test_a_model_file_with_a_huge_header_is_refused_at_once(folder, fails, tmp_path, length):
    """The first 8 bytes of a safetensors file are the length of what follows; nobody may be made to allocate it."""
    crafted = tmp_path / "crafted"
    shutil.copytree(folder, crafted)
    (crafted / "model.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
    begin_s = time.monotonic()
    assert "model.safetensors" in fails("--model", crafted)
    assert time.monotonic() - begin_s < 5


def test_a_config_with_impossible_sizes_is_refused(folder, fails, tmp_path):
    for field, value in [
        ("n_layer", 10**9),
        ("n_embd", -1),
        ("n_head", 0),
        ("vocab_size", 10**12),
        ("n_positions", 10**9),
    ]:
        crafted = tmp_path / field
        shutil.copytree(folder, crafted)
        config = json.loads((crafted / "config.json").read_text()) | {field: value}
        (crafted / "config.json").write_text(json.dumps(config))
        assert field in fails("--model", crafted)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
