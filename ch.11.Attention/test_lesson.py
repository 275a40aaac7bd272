"""What the lesson shows: programs that break, and the exercises."""

import pathlib
import runpy
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

HERE = pathlib.Path(__file__).resolve().parent


def run_script(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=chapters.environment(), capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    "case, sentence",
    [
        ("heads", "ValueError: num_heads: expected a divisor of the columns of q, 32, got 5"),
        ("kind", "TypeError: t: expected a Tensor or a NumPy array of float32, got list"),
        (
            "ir",
            "attention.mlir:3:10: error: 'transformer.attention' op expected as many columns in k as in q, "
            "32, got 24",
        ),
    ],
)
def test_what_breaks(case, sentence):
    assert run_script("broken.py", case) == (0, sentence)


def test_cse_before_bufferization_is_slow():
    namespace = runpy.run_path(str(HERE / "broken.py"))
    assert namespace["cse"](160) > 3


@pytest.mark.parametrize(
    "number, problem",
    [
        ("1", "write me"),
        ("2", "a key outside of the window has a weight"),
        ("3", "two scales in a row are still two"),
    ],
)
def test_a_stub_is_not_a_solution(number, problem):
    assert run_script("exercises/check.py", number) == (1, f"exercise {number}: not yet: {problem}")


@pytest.mark.parametrize("solution", sorted(HERE.glob("exercises/solutions/*")), ids=lambda file: file.name)
def test_a_solution_is_one(solution):
    number = solution.name[0]
    assert run_script("exercises/check.py", number, solution) == (0, f"exercise {number}: solved")


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
