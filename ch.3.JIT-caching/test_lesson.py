"""What the lesson shows: programs that break, and the exercises."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent


def run_script(*arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() + done.stderr


@pytest.mark.parametrize(
    "case, lines",
    [
        ("race", ["ValueError: gemm: expected 1 compile, got 2"]),
        (
            "failed",
            [
                "0 kept",
                "0 kept",
                "CompileError: the IR could not be read",
                "ir:4:5: error: custom op 'linalg.fil'",
            ],
        ),
        ("itself", ["RuntimeError: make() asks for the key that it is making"]),
        ("forgotten", ["ValueError: asked for -O0, got gemm at -O3"]),
        ("dangling", ["ValueError: the process ended by SIGSEGV"]),
    ],
)
def test_what_breaks(case, lines):
    status, text = run_script("broken.py", case)
    assert status == 0
    assert len(text.splitlines()) == len(lines)
    assert all(line.startswith(start) for line, start in zip(text.splitlines(), lines)), text


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_once.py"], 0),
        (["2", "exercises/solutions/2_key.py"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    returned, text = run_script("exercises/check.py", *arguments)
    assert returned == status, text


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
