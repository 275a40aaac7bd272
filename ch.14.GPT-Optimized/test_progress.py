"""The progress bar of generate: what it counts, where it shows, and that it changes nothing."""

import os
import pathlib
import sys
import termios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

import ch14_generate
import ch14_gpt_optimized as gpt
import ch14_progress
from ch13_weights import GPT2Config, GPT2Weights
from ch14_testing import random_ids, weights

CONFIG = GPT2Config(101, 2, 3, 36, 40)
PROMPTS = [
    random_ids(CONFIG, length, length).tolist() for length in (4, 38, 9)
]  # the second has room for 3 more


class Counter:
    """A bar that keeps what it is told."""

    def __init__(self, total, *_):
        self.total = total
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def update(self, n=1):
        self.told.append(n)


def counted(monkeypatch, model, *arguments, **options):
    made = []
    monkeypatch.setattr(ch14_generate, "progress_bar", lambda *a: made.append(Counter(*a)) or made[-1])
    answers = gpt.generate_ids(model, *arguments, **options)
    (bar,) = made
    return answers, bar


def test_it_counts_tokens_read_and_written_and_ends_full(monkeypatch):
    model = gpt.GPT2(weights(CONFIG), page_size=5, max_chunk_size=20)
    answers, bar = counted(monkeypatch, model, PROMPTS, max_tokens=10)
    assert [len(answer) for answer in answers] == [10, 3, 10]
    assert bar.told[:3] == [20, 20, 11]  # the prompts, chunk by chunk
    assert sum(bar.told) == bar.total == 4 + 38 + 9 + 23


def test_it_ends_full_where_a_text_ends_itself(monkeypatch):
    model = gpt.GPT2(weights(CONFIG), page_size=5)
    answers = gpt.generate_ids(model, PROMPTS, 10, 1.0, seed=3)
    config = GPT2Config(101, 2, 3, 36, 40, eos_token_id=answers[0][5])
    stops = gpt.GPT2(GPT2Weights(config, weights(CONFIG).tensors, None), page_size=5)
    stopped, bar = counted(monkeypatch, stops, PROMPTS, 10, 1.0, seed=3)
    assert len(stopped[0]) <= 5
    assert sum(bar.told) == bar.total == 4 + 38 + 9 + sum(map(len, stopped))


def test_no_prompts(monkeypatch):
    model = gpt.GPT2(weights(CONFIG), page_size=5)
    answers, bar = counted(monkeypatch, model, [])
    assert (answers, bar.total, bar.told) == ([], 0, [])


END = "<end>"


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(ch14_progress, "SECONDS_BEFORE_IT_SHOWS", 0)


def shown_on_a_terminal(call):
    """(what call() returns, what it writes to stderr if that is a terminal)"""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with os.fdopen(slave, "w") as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        returned = call()
        print(END, file=stderr, flush=True)
        seen = ""
        while END not in seen:
            seen += os.read(master, 1 << 16).decode()
    os.close(master)
    return returned, seen.split(END)[0]


def test_it_shows_on_a_terminal_and_goes_away(at_once):
    text, seen = shown_on_a_terminal(lambda: gpt.generate("To be", 8))
    assert "generate" in seen and "token" in seen
    assert seen.endswith("\r") and not seen.rsplit("\r", 2)[1].strip()  # blanks over what was there
    assert shown_on_a_terminal(lambda: gpt.generate("To be", 8, progress=False)) == (text, "")


def test_packing_weights_shows_too(at_once):
    def pack(progress=None):
        return gpt.PackedWeights.pack(weights(CONFIG), progress=progress).num_bytes

    size, seen = shown_on_a_terminal(pack)
    assert "pack weights" in seen and "/12 " in seen
    assert shown_on_a_terminal(lambda: pack(progress=False)) == (size, "")


def test_short_work_shows_nothing():
    assert shown_on_a_terminal(lambda: gpt.generate("To be", 2))[1] == ""


def test_elsewhere_it_shows_only_where_it_is_asked_for(at_once, capfd):
    text = gpt.generate(["To be", "a"], 8)
    assert capfd.readouterr() == ("", "")
    assert gpt.generate(["To be", "a"], 8, progress=True) == text
    out, err = capfd.readouterr()
    assert out == "" and "token" in err


def test_without_tqdm_there_is_no_bar(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert gpt.generate("To be", 3, progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_wrong_argument():
    with pytest.raises(TypeError, match="progress: expected True, False or None, got str"):
        gpt.generate("To be", 3, progress="yes")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
