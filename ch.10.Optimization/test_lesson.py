"""The programs of chapter 10's lesson: what breaks, the exercises, the ladder."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

import ch10
from ch10_testing import HERE

BROKEN = {
    "pipeline": "ValueError: pipeline: expected one of 'baseline', 'loop-order'",
    "schedule": "there is no schedule 'packd'",
    "handle": "op uses a handle invalidated by a previously executed transform op",
    "several": "requires exactly one target handle",
    "ragged": "failed",
}


@pytest.mark.parametrize("case, sentence", BROKEN.items())
def test_what_breaks(case, sentence):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and sentence in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_epilogue.mlir"], 0),
        (["2", "exercises/solutions/2_outer.mlir"], 0),
        (["3", "exercises/solutions/3_registers.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr


def test_the_ladder(tmp_path):
    """Two small shapes; the numbers are not looked at."""
    plot = tmp_path / "ladder.png"
    done = subprocess.run(
        [sys.executable, "ladder.py", "--shape", "24", "40", "48", "--turns", "1", "--plot", str(plot)],
        cwd=HERE, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(pipeline in done.stdout for pipeline in ch10.PIPELINES) and "NumPy" in done.stdout
    assert plot.stat().st_size > 5000
    wrong = subprocess.run(
        [sys.executable, "ladder.py", "--size", "0"], cwd=HERE, capture_output=True, text=True
    )
    assert wrong.returncode == 2 and "--size" in wrong.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
