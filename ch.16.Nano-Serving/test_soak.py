"""The soak and the stress driver, for a few seconds; scripts/soak.sh runs them for minutes, with sanitizers."""

import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

from ch16_testing import needs_plain_memory

FOLDER = pathlib.Path(__file__).resolve().parent


@needs_plain_memory
def test_callers_that_come_and_go_leave_little_behind():
    done = subprocess.run(
        [sys.executable, FOLDER / "stress" / "soak.py", "4"],
        env=chapters.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"'left': [1-9].*'num_preemptions': [1-9]", done.stdout)


@pytest.fixture(scope="module")
def stress(tmp_path_factory) -> pathlib.Path:
    """The driver, built with whatever C++ compiler there is."""
    names = [*(f"/usr/lib/llvm-{v}/bin/clang++" for v in (22, 21)), "clang++", "g++"]
    compiler = next(filter(None, map(shutil.which, names)))
    out = tmp_path_factory.mktemp("stress") / "stress"
    sources = [
        FOLDER / "stress" / "stress.cpp",
        *(FOLDER / "src" / f for f in ("kv_cache_pool.cpp", "radix_cache.cpp")),
    ]
    subprocess.run(
        [compiler, "-std=c++17", "-O1", "-pthread", "-I", FOLDER / "inc", *sources, "-o", out], check=True
    )
    return out


def test_many_threads_share_a_pool_and_a_tree(stress):
    done = subprocess.run([stress, "1", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    requests, found, evicted, refused = map(
        int, re.findall(r"(\d+) (?:requests|pages found|evicted|times)", done.stdout)
    )
    assert min(requests, found, evicted, refused) > 10, done.stdout


def test_the_driver_wants_numbers(stress):
    for arguments in (["0"], ["1", "0"], ["1", "1", "1"]):
        done = subprocess.run([stress, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr == "usage: stress SECONDS THREADS\n"


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
