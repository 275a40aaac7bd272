"""The exercises of this chapter: the stubs fail, the solutions pass, for the reason that is printed."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "exercises"


def check(*arguments):
    command = [sys.executable, str(FOLDER / "check.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("1", "after 1 tokens the continuation [5, 6, 1] does not have the logits of the whole text"),
        ("2", "2 tokens: the score is -3.6249, expected -3.6123"),
        ("3", "gelu and relu together are accepted"),
    ],
)
def test_a_stub_is_not_a_solution(number, problem):
    assert check(number) == (1, f"exercise {number}: not yet: {problem}")


@pytest.mark.parametrize("solution", sorted((FOLDER / "solutions").glob("*.py")), ids=lambda file: file.name)
def test_a_solution_is_one(solution):
    number = solution.name[0]
    assert check(number, solution) == (0, f"exercise {number}: solved")
