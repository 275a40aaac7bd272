"""`cd ch.N.Name && python3 test_jit.py` works after a plain build, and its exit status says how the tests went."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters

SCRIPTS = [
    folder / "test_jit.py" for folder in chapters.source_folders() if (folder / "test_jit.py").is_file()
]


def run(script: pathlib.Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """As a reader would: in its folder, with nothing on the Python path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    command = [sys.executable, script.name, *arguments]
    return subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.parent.name)
def test_every_test_jit_can_be_a_script(script):
    lines = script.read_text().rstrip().splitlines()
    assert lines[-2:] == ['if __name__ == "__main__":', "    raise SystemExit(chapters.run_tests(__file__))"]
    (finds_the_tree,) = [n for n, line in enumerate(lines) if line.startswith("sys.path.insert(0, ")]
    assert finds_the_tree < min(n for n, line in enumerate(lines) if line.startswith("import chapters"))


def test_chapter_1_runs_as_a_script():
    done = run(SCRIPTS[0], "-q", "-k", "test_names or test_known_values")
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.fixture
def script(tmp_path):
    """A test_jit.py of a chapter whose folder is called like chapter 1's, so that it counts as built."""

    def write(test: str) -> pathlib.Path:
        folder = tmp_path / "ch.1.Fixed-size"
        folder.mkdir()
        (folder / "test_jit.py").write_text(
            f"import sys\nsys.path.insert(0, {str(chapters.ROOT)!r})\nimport chapters\nimport ch1_fixed_size\n\n"
            f"def test():\n    {test}\n\n"
            "if __name__ == '__main__':\n    raise SystemExit(chapters.run_tests(__file__))\n"
        )
        return folder / "test_jit.py"

    return write


def test_status_0_when_the_tests_pass(script):
    assert run(script("assert ch1_fixed_size.ir()")).returncode == 0


def test_status_1_when_a_test_fails(script):
    done = run(script("assert not ch1_fixed_size.ir()"))
    assert done.returncode == 1 and "1 failed" in done.stdout


def test_a_crash_is_not_a_pass(script):
    assert run(script("import os; os.abort()")).returncode not in (0, 1)


def test_without_a_build_it_says_what_to_do(tmp_path):
    done = run(SCRIPTS[0], COURSE_BUILD_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "is not built" in done.stderr and "cmake --preset x64-release" in done.stderr, done.stderr
