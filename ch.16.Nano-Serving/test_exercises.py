"""The checkers refuse the stubs and near misses, and accept the solutions."""

import pathlib
import re
import runpy
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters

FOLDER = pathlib.Path(__file__).resolve().parent / "exercises"
CHECK = runpy.run_path(str(FOLDER / "check.py"))["check"]

# What a solution is turned into, and must then be refused.
NEAR_MISSES = {
    "1_min_p.py": (">=", ">"),
    "2_split_evenly.py": ("given[i] < pending[i]]", "given[i] <= pending[i]]"),
    "3_fork.py": ("pool.v_cache[:, page] =", "_ ="),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_checkers_know_right_from_wrong(name, tmp_path):
    number, solution = name[0], (FOLDER / "solutions" / name).read_text()
    CHECK(number, FOLDER / "solutions" / name)
    with pytest.raises(NotImplementedError):
        CHECK(number, FOLDER / name)
    wrong = solution.replace(*NEAR_MISSES[name])
    assert wrong != solution
    (tmp_path / name).write_text(wrong)
    with pytest.raises(AssertionError):
        CHECK(number, tmp_path / name)


def test_the_checker_as_a_command():
    def run(*arguments):
        return subprocess.run(
            [sys.executable, FOLDER / "check.py", *arguments], capture_output=True, text=True
        )

    unsolved = run("1")
    assert unsolved.returncode == 1 and re.match("not solved yet: write 1_min_p.py", unsolved.stderr)
    solved = run("1", FOLDER / "solutions" / "1_min_p.py")
    assert solved.returncode == 0 and solved.stdout == "exercise 1: solved\n"


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
