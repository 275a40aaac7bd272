"""The command line, as a person meets it: text on stdout, one line of figures on stderr, sentences for mistakes."""

import argparse
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
import safetensors.numpy

import chapters

import ch14_gpt_optimized
from ch16_testing import CONFIG, engine, tokenizer, weights
from nano_engine import NanoServingEngine, SamplingParams
from nano_engine import __main__ as command_line

FIGURES = re.compile(
    r"(\d+) tokens, [\d.]+ tokens/s, first token after [\d.]+ ms, ended by (\w+)(?:, seed (\d+))?\n$"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """The small model in Hugging Face's format."""
    folder = tmp_path_factory.mktemp("model")
    names = ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions")
    config = {"model_type": "gpt2", **{name: getattr(CONFIG, name) for name in names}}
    (folder / "config.json").write_text(json.dumps(config))
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(tensor) for name, tensor in weights().tensors.items()},
        folder / "model.safetensors",
    )
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


@functools.cache
def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "nano_engine", *map(str, arguments)]


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, encoding="utf-8", errors="replace"
    )


def test_complete_writes_the_text_and_a_line_of_figures(folder):
    arguments = ("complete", "To be", "--model", folder, "--max-tokens", 20, "--top-k", 50)
    result = run(*arguments, "--seed", 5)
    assert result.returncode == 0, result.stderr
    params = SamplingParams(max_tokens=20, temperature=0.8, top_k=50, seed=5)
    (expected,) = engine("compiled", page_size=16).generate(["To be"], params)
    assert result.stdout == "To be" + expected.output_text + "\n"
    assert FIGURES.fullmatch(result.stderr).groups() == ("20", "length", "5")

    unseeded = run(*arguments)
    seed = FIGURES.fullmatch(unseeded.stderr)[3]
    assert run(*arguments, "--seed", seed).stdout == unseeded.stdout


def test_greedy_needs_no_seed(folder):
    result = run("complete", "To be", "--model", folder, "--max-tokens", 3, "--temperature", 0)
    assert FIGURES.fullmatch(result.stderr).groups() == ("3", "length", None)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("To be", "--max-tokens", 0), "error: max_tokens must be at least 1, got 0"),
        (("To be", "--temperature", "nan"), "error: temperature must be a finite number, got nan"),
        (("",), "error: prompt is empty: expected at least one token"),
        (("x " * 50,), "error: prompt has .* tokens; the model reads at most 40"),
        (("To be", "--model", "/nowhere/at/all"), "error: .*/nowhere/at/all"),
    ],
)
def test_mistakes_are_a_sentence_without_a_traceback(folder, arguments, sentence):
    result = run("complete", *arguments, *(() if "--model" in arguments else ("--model", folder)))
    assert result.returncode == 2 and result.stdout == ""
    assert re.match(sentence, result.stderr) and "Traceback" not in result.stderr


def test_ctrl_c_ends_the_answer_with_the_figures_so_far(folder):
    """A pipe that nobody reads holds 64 KiB, far more than this model writes: the signal comes in the middle."""
    slow = "import time, nano_engine.engine as e; step = e.NanoServingEngine._step\n"
    slow += "e.NanoServingEngine._step = lambda self: (time.sleep(0.2), step(self))[1]\n"
    slow += "import sys, nano_engine.__main__ as m; sys.exit(m.main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "complete", "To be", "--model", folder, "--ignore-eos"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    begin = process.stdout.read(len("To be") + 1)  # the prompt, and some of the answer
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert begin.startswith(b"To be") and out.endswith(b"\n")
    num_tokens, reason, _ = FIGURES.fullmatch(err.decode()).groups()
    assert 0 < int(num_tokens) < 35 and reason == "abort"


def test_a_reader_that_leaves_is_no_error(folder):
    line = " ".join(command("complete", "'To be'", "--model", folder, "--seed", 1)) + " | head -c 3"
    result = subprocess.run(line, shell=True, env=environment(), capture_output=True, text=True)
    assert result.stdout == "To "
    assert not re.search("Traceback|Exception|error", result.stderr)


def test_from_pretrained_takes_a_folder(folder, tmp_path):
    """The same text as ch.14's generate, with the same seed; a damaged folder is a sentence."""
    served = NanoServingEngine.from_pretrained(folder, kv_cache_pages=20, max_chunk_size=3)
    prompts = ["To be", "or not", "to be,"]
    params = SamplingParams(max_tokens=12, temperature=0.9, top_k=60, seed=11)
    texts = [request.output_text for request in served.generate(prompts, params)]
    weights = ch14_gpt_optimized.load_gpt2_weights(folder)
    assert texts == ch14_gpt_optimized.generate(
        prompts, 12, temperature=0.9, top_k=60, seed=11, weights=weights
    )

    with pytest.raises(ValueError, match="float13"):
        NanoServingEngine.from_pretrained(folder, dtype="float13")
    names = ("config.json", "tokenizer.json", "model.safetensors")
    for damaged in names:
        for name in names:
            content = (folder / name).read_bytes()
            (tmp_path / name).write_bytes(content[: len(content) // 2] if name == damaged else content)
        with pytest.raises(ValueError, match=damaged):
            NanoServingEngine.from_pretrained(tmp_path)


def kinds(folder) -> set[str]:
    return {entry.suffix for entry in folder.glob("?" * 64 + ".*")}


def test_what_is_kept_on_disk_lies_where_the_caller_says(tmp_path, monkeypatch):
    """Compiled code and packed weights: in the folder, and nowhere else, and found again."""
    monkeypatch.setenv("COURSE_CACHE_DIR", str(tmp_path / "unasked"))
    params = SamplingParams(max_tokens=3)
    texts = []
    one, two = tmp_path / "one", tmp_path / "two"
    for cache_dir, found in ((one, False), (two, True), (False, False)):
        served = NanoServingEngine.from_pretrained(cache_dir=cache_dir)
        assert served._batcher.executor.model.is_from_disk is found
        texts.append(served.generate(["To be"], params)[0].output_text)
        if cache_dir == one:
            one.rename(two)  # this process remembers what it compiled, by the name of the folder
    assert len(set(texts)) == 1
    assert kinds(two) == {".code", ".weights"}
    assert not (tmp_path / "unasked").exists()
    NanoServingEngine(CONFIG, weights())
    assert kinds(tmp_path / "unasked") == {".code"}, "COURSE_CACHE_DIR, where nobody says another"
    with pytest.raises(TypeError, match="cache_dir: expected a folder, None or False, got 3"):
        NanoServingEngine.from_pretrained(cache_dir=3)
    with pytest.raises(
        ValueError, match="cache_dir=False is for the engine's own model, and model was given"
    ):
        engine("hash", cache_dir=False)


def test_the_command_line_says_where_too(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(environment(), "COURSE_CACHE_DIR", str(tmp_path / "unasked"))
    rest = ("To be", "--model", folder, "--max-tokens", 2, "--temperature", 0)
    results = [run("complete", "--cache-dir", where, *rest) for where in ("off", tmp_path / "c")]
    assert results[0].returncode == 0 and results[0].stdout == results[1].stdout
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]
    parse = command_line.arguments().parse_args
    for name in ("chat", "bench", "serve"):
        assert parse([name, "--cache-dir", "off"]).cache_dir is False
    from nano_engine.server.command import engine_options

    assert engine_options(parse(["serve", "--cache-dir", "off"])) == {"cache_dir": False}


def chat(folder, lines, *arguments):
    return subprocess.run(
        command("chat", "--model", folder, "--seed", 1, "--max-tokens", 6, *arguments),
        env=environment(),
        input=lines,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def test_a_chat_is_one_text_and_finds_its_beginning_cached(folder):
    result = chat(folder, "To be, or not\nthat is\n\nnot asked\n")
    assert result.returncode == 0, result.stderr
    turns = re.findall(
        r"\[(\d+) tokens, .*; (\d+) of the prompt's (\d+) tokens were cached\]\n", result.stderr
    )
    assert len(turns) == 2 and result.stdout.count("\n") >= 2
    tokens = tokenizer().encode("To be, or not\n").ids
    (request,) = engine("compiled", 16).generate(
        [tokens], SamplingParams(max_tokens=6, temperature=0.8, seed=1, stop=["\n\n"])
    )
    assert result.stdout.startswith(request.output_text + "\n")
    assert int(turns[0][2]) == len(tokens) and int(turns[1][2]) > len(tokens) + int(turns[0][0])


def test_a_conversation_that_is_too_long_loses_its_beginning(folder):
    result = chat(folder, "To be, or not\n" * 6)
    sizes = [int(n) for n in re.findall(r"of the prompt's (\d+) tokens", result.stderr)]
    assert result.returncode == 0 and len(sizes) == 6 and max(sizes) <= 34 and sizes != sorted(sizes)


def test_a_turn_without_a_place_for_the_line_is_refused(folder):
    result = chat(folder, "hello\n", "--turn", "you: ")
    assert result.returncode == 2
    assert result.stderr == "error: --turn must contain {}, which stands for the line, got 'you: '\n"


def test_without_a_command_it_lists_them():
    result = run()
    assert result.returncode == 2 and result.stdout == ""
    assert all(command in result.stderr for command in ("complete", "chat", "serve", "bench"))


def test_help_says_what_there_is():
    for name in ("complete", "chat", "bench"):
        assert name in run("--help").stdout
    options = run("complete", "--help").stdout
    for option in (
        "--max-tokens",
        "--temperature",
        "--top-k",
        "--top-p",
        "--seed",
        "--model",
        "--ignore-eos",
    ):
        assert option in options


def test_the_servers_options_reach_the_engine():
    from nano_engine.server import command
    from nano_engine.server.arguments import add_serve_arguments

    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    assert command.engine_options(parser.parse_args([])) == {}, "the engine's own defaults"
    given = ["--threads", "2", "--kv-cache-pages", "40", "--max-batch-size", "3", "--max-chunk-size", "16"]
    assert command.engine_options(parser.parse_args(given)) == {
        "num_threads": 2,
        "kv_cache_pages": 40,
        "max_batch_size": 3,
        "max_chunk_size": 16,
    }


def test_an_option_that_a_command_lacks_is_refused_in_its_name(capsys):
    assert command_line.main(["serve", "--nosuch", "1"]) == 2
    expected = "error: python -m nano_engine serve does not know --nosuch; python -m nano_engine serve --help"
    assert capsys.readouterr().err.startswith(expected)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
