"""The exercises of this chapter: the stubs fail, the solutions pass, for the reason that is printed."""

import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "exercises"


def check(*arguments):
    command = [sys.executable, str(FOLDER / "check.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("1", "top_p=0.3 draws [0, 1, 2, 3, 4], expected [1]"),
        ("2", "slope 0.25: the result is not ALiBi attention"),
        ("3", "create_causal_mask takes no argument `window` yet"),
    ],
)
def test_a_stub_is_not_a_solution(number, problem):
    assert check(number) == (1, f"exercise {number}: not yet: {problem}")


@pytest.mark.parametrize("solution", sorted((FOLDER / "solutions").glob("*.py")), ids=lambda file: file.name)
def test_a_solution_is_one(solution):
    number = solution.name[0]
    assert check(number, solution) == (0, f"exercise {number}: solved")
