"""The examples of the front page run as they are shown, and print what they promise."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(example: str) -> str:
    done = subprocess.run([sys.executable, f"examples/{example}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_generate():
    assert len(run("generate.py").strip()) > 20


def test_engine():
    lines = run("engine.py").splitlines()
    assert [line.split("' ")[0] for line in lines] == ["'To be, or not", "'My lord,", "'ROMEO:"]
    assert all(line.endswith(("length", "stop")) for line in lines)
