"""bench/gpt2.py's machinery: engines that are right, wrong, missing, slow or dead, its tables and its command line.

COURSE_PEERS names a Python that has the peers (see bench/README.md); without it this one is asked, and a peer that it
lacks is a skip with its name.
"""

import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import chapters

BENCH = chapters.ROOT / "bench"
sys.path.append(str(BENCH))  # behind the chapters: bench/ch8.py is not ch8
import gpt2
import gpt2_engines
import limits
import model_folder

PYTHON = os.environ.get("COURSE_PEERS", sys.executable)
PACKAGES = {
    "ours": "numpy",
    "PyTorch": "torch",
    "CTranslate2": "ctranslate2",
    "llama.cpp": "llama_cpp",
    "OpenVINO": "openvino",
    "onnxruntime": "onnxruntime",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A small model, and reference.npz beside it."""
    folder = tmp_path_factory.mktemp("model")
    model_folder.write(folder, vocab_size=500, n_layer=2, n_head=2, n_embd=128, n_positions=64)
    ids = np.random.default_rng(0).integers(1, 500, (3, 9)).astype(np.int32)
    logits = model_folder.reference_logits(folder, ids)
    np.savez(folder / "reference.npz", ids=ids, logits=logits)
    return folder


def run(script: str, *arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(BENCH / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


# --- engines


@pytest.mark.parametrize(
    "name, dtype", [(name, dtype) for dtype, names in gpt2.PEERS.items() for name in (gpt2.OURS, *names)]
)
def test_an_engine_computes_the_model(name, dtype, folder):
    python = sys.executable if name == gpt2.OURS else PYTHON
    if subprocess.run([python, "-c", f"import {PACKAGES[name]}"], capture_output=True).returncode:
        pytest.skip(
            f"{PACKAGES[name]} is not installed: pip install it, or name a Python with it by COURSE_PEERS"
        )
    engine = gpt2_engines.Engine(python, name, folder, dtype, 1, subprocess.DEVNULL)
    if engine.failure and "no bfloat16 on this processor" in engine.failure:
        pytest.skip(f"{name}: {engine.failure}")
    assert engine.failure is None
    try:
        error = engine.ask(f"check {folder / 'reference.npz'}", 60)
        # llama.cpp looks GELU up in a table of 16-bit floats, and keeps K and V in 16 bits.
        assert error < (1e-5 if dtype == "float32" and name != "llama.cpp" else gpt2.TOLERANCES[dtype])
        assert engine.ask("fill 2 20", 60) > 0
        assert engine.ask("decode", 60) > 0
        assert engine.ask("decode", 60) > 0  # it went back
        assert engine.ask("memory", 60) > engine.imported_mb > 1
    finally:
        engine.close()
    assert engine.process.returncode == 0


def test_the_reference_is_what_transformers_says(folder):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    with np.load(folder / "reference.npz") as saved:
        ids, logits = saved["ids"], saved["logits"]
    model = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids).long()).logits[:, -1].numpy()
    np.testing.assert_allclose(logits, expected, atol=2e-5 * np.abs(expected).max())


def begin(folder, name=gpt2.OURS, reference="reference.npz", dtype="float32", python=sys.executable):
    return gpt2_engines.start(
        python, name, folder, dtype, 1, subprocess.DEVNULL, folder / reference, gpt2.TOLERANCES[dtype]
    )


def test_the_second_start_finds_what_the_first_has_left(tmp_path, folder):
    engine = begin(folder)
    engine.close()
    assert engine.error < 1e-5 and engine.memory_mb > engine.imported_mb
    again = gpt2_engines.Engine(sys.executable, gpt2.OURS, folder, "float32", 1, subprocess.DEVNULL)
    again.close()
    assert again.compile_seconds is None  # its code is on the disk


def test_an_engine_that_computes_something_else_is_no_peer(folder):
    with np.load(folder / "reference.npz") as saved:
        np.savez(folder / "wrong.npz", ids=saved["ids"], logits=saved["logits"][:, ::-1])
    with pytest.raises(
        gpt2_engines.Gone, match=r"ours is left out: its logits are off by .*, more than 0.001"
    ):
        begin(folder, reference="wrong.npz")


def test_an_engine_that_is_not_installed_says_so(folder, tmp_path, monkeypatch):
    (tmp_path / "ctranslate2.py").write_text("raise ImportError('no such library')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(gpt2_engines.Gone, match="CTranslate2 is left out: ImportError: no such library"):
        begin(folder, "CTranslate2")


def test_an_engine_without_that_precision_says_so(folder):
    with pytest.raises(gpt2_engines.Gone, match="ours is left out: ValueError: dtype: expected 'float32'"):
        gpt2_engines.start(sys.executable, gpt2.OURS, folder, "float8", 1, subprocess.DEVNULL, None, 1)


@pytest.fixture
def pretender(tmp_path, folder):
    """A "Python" that answers 0.1 to the first question and then does what the test says."""

    def make(then: str) -> gpt2_engines.Engine:
        about = json.dumps({"about": "", "compile_seconds": None, "imported_mb": 1})
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\necho 'ready {about}'\nread line\necho 0.1\nread line\n{then}\n")
        script.chmod(0o755)
        return gpt2_engines.Engine(str(script), "pretender", folder, "float32", 1, subprocess.DEVNULL)

    return make


def test_an_engine_that_takes_too_long_is_left_out(pretender):
    engine = pretender("exec sleep 100")
    with pytest.raises(gpt2_engines.Gone, match=r"pretender is left out: `decode` took more than 0\.2 s"):
        engine.ask("decode", 0.2)
    engine.close()
    assert engine.process.returncode < 0  # it was ended


def test_an_engine_that_dies_is_left_out_and_the_others_go_on(pretender, capsys):
    engine = pretender("exit 3")
    engines = [engine]
    assert gpt2.ask(engines, engine, "decode", 5) is None
    assert engines == []
    assert "pretender is left out: it ended in the middle of `decode`" in capsys.readouterr().err
    with pytest.raises(gpt2_engines.Gone, match="it ended before `decode`|in the middle of `decode`"):
        engine.ask("decode", 5)
    engine.close()


def test_an_engine_that_says_nothing_is_left_out(folder):
    with pytest.raises(gpt2_engines.Gone, match="ours is left out: it ended without a word"):
        begin(folder, python="false")


# --- tables


def speeds(ours: float) -> dict:
    return {case: {"ours": ours, "a": 1.0, "b": 2.0} for case in ("prefill", *gpt2.BATCHES)}


@pytest.mark.parametrize("ours, reached", [(3.1, True), (2.86, True), (2.84, False), (1.9, False)])
def test_a_floor_is_in_units_of_the_best_peer_and_5_percent_are_allowed(ours, reached, capsys):
    rates = {"peak": 1e11, "read": 2e10}
    assert gpt2.report_speeds("float32", speeds(ours), rates, ["ours", "a", "b"], 12) == reached
    assert f"| decode, batch 1 | {ours:.1f} | 1.0 | 2.0 | {ours / 2:.2f} | 1.5 |" in capsys.readouterr().out


def test_a_peer_that_was_left_out_of_a_case_leaves_its_cell_empty(capsys):
    found = speeds(3.1)
    del found["prefill"]["b"]
    gpt2.report_speeds("float32", found, {"peak": 1e11, "read": 2e10}, ["ours", "a", "b"], 12)
    assert "| prefill 512 | 3.1 | 1.0 |  | 3.10 |" in capsys.readouterr().out


def test_without_any_peer_there_is_no_ratio_and_no_floor_is_missed(capsys):
    found = {case: {"ours": 1.0} for case in ("prefill", *gpt2.BATCHES)}
    assert gpt2.report_speeds("int8", found, {"peak": 1e11, "read": 2e10}, ["ours"], 12)
    assert "nan" in capsys.readouterr().out


# --- limits


def test_the_loop_of_multiply_adds_does_all_its_steps():
    width = limits.ch10.tile()["lanes"]
    text = limits.peak_ir(12, width, steps=10)
    x = np.ones((12, width), np.float32)  # a = a * 1 + a, ten times
    out = limits.ch8.execute(text, "peak", [x], (12, width))
    assert (out == 2**10).all()


@pytest.mark.parametrize("passes", [1, 3])
def test_the_loop_that_reads_reads_every_float_in_each_pass(passes):
    width, count = limits.ch10.tile()["lanes"], 8 * 16 * 5
    x = np.arange(count, dtype=np.float32)
    out = limits.ch8.execute(limits.read_ir(8, width, count, passes), "read", [x], (8, width))
    assert out.sum(dtype=np.float64) == passes * x.sum(dtype=np.float64)


def test_a_small_array_is_read_until_it_is_worth_measuring():
    _, once = limits.read_candidate(1 << 20, least_bytes=0)
    _, often = limits.read_candidate(1 << 20, least_bytes=10 << 20)
    _, on_two = limits.read_candidate(1 << 20, threads=2, least_bytes=10 << 20)
    assert (once, often, on_two) == (1 << 20, 10 << 20, 10 << 20)


def test_limits_are_rates():
    found = limits.Machine(num_bytes=1 << 20)
    assert 1e8 < found.peak() < 1e13 and 1e8 < found.read() < 1e13 and math.isfinite(found.read())


# --- command lines


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--rounds", "0"], "--rounds: expected a number from 1 on, got 0"),
        (["--threads", "-1"], "--threads: expected a number from 1 on, got -1"),
        (["--layers", "two"], "--layers: expected a number from 1 on, got two"),
        (["--dtypes", "float8"], "invalid choice: 'float8'"),
        (["--context", "1024"], "--context: expected at most 900, of GPT-2's 1024 positions, got 1024"),
        (["--limit", "0"], "--limit: expected more than 0 seconds, got 0"),
        (["--peers", "/nowhere/python"], "--peers: there is no program /nowhere/python"),
    ],
)
def test_a_wrong_argument_of_gpt2_is_a_sentence(arguments, message):
    done = run("gpt2.py", *arguments)
    assert done.returncode == 2 and message in done.stderr, done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["ours"], ["theirs", ".", "float32", "1"], ["ours", ".", "float32", "x"]]
)
def test_a_wrong_command_line_of_the_process_prints_how_it_is_used(arguments):
    done = run("gpt2_peers.py", *arguments)
    assert done.returncode == 2 and "ENGINE is one of: ours, PyTorch" in done.stderr and not done.stdout


def test_a_folder_that_is_no_model_is_a_failed_line(tmp_path):
    done = run("gpt2_peers.py", "ours", tmp_path, "float32", 1)
    assert done.returncode == 1 and done.stdout.startswith("failed FileNotFoundError: ")


def test_a_wrong_argument_of_limits_is_a_sentence():
    done = run("limits.py", "--threads", "0")
    assert done.returncode == 2 and "--threads and --runs: expected 1 or more" in done.stderr
