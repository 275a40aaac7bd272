"""One process, all chapters, eight threads: tests/threads.py finds nothing wrong, and finds what is."""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import numpy as np

import chapters

from threads_load import bits

SCRIPT = chapters.ROOT / "tests/threads.py"
threads = chapters.run_script(SCRIPT)


def run(*arguments: str) -> str:
    """In a process of its own: nothing is compiled there yet, and its memory is its own."""
    command = [sys.executable, SCRIPT, *arguments]
    done = subprocess.run(command, env=chapters.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_flat(summary: str, megabytes: float) -> None:
    growth = float(re.search(r"memory ([+-][\d.]+) MB", summary)[1])
    assert growth < megabytes, summary


def test_every_chapter_has_calls():
    there = {chapters.number(folder): folder.name for folder in chapters.source_folders()}
    for number, name in there.items():
        assert number in threads.CHAPTERS, (
            f"tests/threads.py has no calls of {name}: write a @chapter({number})"
        )
    assert set(threads.CHAPTERS) <= set(there)


def test_a_few_seconds():
    summary = run("--seconds", "5")
    assert f"{len(chapters.source_folders())} chapters" in summary and "8 threads" in summary
    assert_flat(summary, 40)  # some caches are still filling


@pytest.mark.slow
def test_a_minute():
    summary = run("--seconds", "60", "--seed", str(os.getpid()))
    print(summary)
    assert_flat(summary, 12)  # one leaked array of the smallest call would be more


# --- that it can fail ---------------------------------------------------------------------------------------


def load(*calls) -> "threads.Load":
    made = threads.Load(
        [c for c in calls if isinstance(c, threads.Call)], [c for c in calls if isinstance(c, threads.Fresh)]
    )
    for call in made.calls:
        made.expected[call.name] = bits(call.run())
    return made


def any_calls(made) -> list[str]:
    made.any_calls(4, 0, 0.3, lambda: None)
    return made.wrong


def good():
    return np.arange(4.0)


def test_a_good_call_passes():
    made = load(threads.Call("good", good, threads.exactly(good())), threads.Fresh("new", lambda n: True))
    made.alone()
    assert any_calls(made) == [] and made.num_calls > 100


def test_an_oracle_that_disagrees():
    made = load(threads.Call("one more", lambda: good() + 1e-12, threads.exactly(good())))
    with pytest.raises(threads.Wrong, match="one more: one thread alone gets what its oracle does not"):
        made.alone()


def test_a_bit_that_differs_now_and_then():
    calls = iter(range(10**9))
    made = load(
        threads.Call("rarely", lambda: good() + (next(calls) % 97 == 96) * 1e-16, threads.exactly(good()))
    )
    assert any_calls(made)[0].endswith(
        "rarely: among other calls, another answer than that of one thread: array([1.e-16, 1.e+00, 2.e+00, 3.e+00])"
    )


def test_minus_zero_and_nan_are_bits_too():
    assert bits(np.array([0.0])) != bits(np.array([-0.0]))
    assert bits(np.array([np.nan])) == bits(np.array([np.nan]))
    assert bits(np.zeros(4, np.float32)) != bits(np.zeros(2))
    assert bits(np.zeros((2, 2))) != bits(np.zeros(4))


def test_a_result_that_somebody_writes_into_later():
    shared = good()

    def call():
        shared[:] = good()
        return shared

    def writer():
        shared[0] = 7
        return 0

    made = load(
        threads.Call("shared", call, threads.exactly(good())),
        threads.Call("writer", writer, threads.exactly(0)),
    )
    assert any("shared: " in wrong for wrong in any_calls(made))


def test_an_exception_in_a_thread():
    def call():
        if time.monotonic() > begin + 0.05:
            raise ValueError("no more")
        return 1

    begin = time.monotonic()
    assert "ValueError: no more" in any_calls(load(threads.Call("sometimes", call, threads.exactly(1))))[0]


def test_a_new_function_that_is_wrong():
    made = load(threads.Call("good", good, threads.exactly(good())), threads.Fresh("new", lambda n: n != 2))
    made.any_calls(4, 0, 1.5, lambda: None)
    assert made.wrong[0].endswith("new(2), compiled beside other calls, is wrong")


def test_caches_are_cleared_under_running_calls():
    cleared = []

    class Module:
        @staticmethod
        def clear_cache():
            cleared.append(1)

    made = load(threads.Call("good", good, threads.exactly(good())))
    made.clears.append((Module, 0.01))
    assert any_calls(made) == []
    assert len(cleared) == made.num_clears and 5 < made.num_clears < 60


def test_an_input_that_is_written_into(monkeypatch):
    written = np.zeros(3)
    monkeypatch.setattr(threads, "INPUTS", [(written, np.ones(3).tobytes())])
    monkeypatch.setattr(
        threads, "CHAPTERS", {1: lambda: [threads.Call("good", good, threads.exactly(good()))]}
    )
    with pytest.raises(threads.Wrong, match=r"an input of shape \(3,\) was written into"):
        threads.run([1], 0.2, 2)
