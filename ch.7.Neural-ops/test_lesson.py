"""What the lesson shows: programs that break, the calling convention, and the exercises."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

from ch7_testing import HERE


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True)


@pytest.mark.parametrize(
    "case, sentence",
    [
        (
            "shapes",
            "ValueError: matmul: a is variable #0 of shape (3, 4), b is relu #5 of shape (5, 2): expected 4 rows in b, "
            "got 5",
        ),
        ("graphs", "ValueError: add: b is variable #0 of shape (4,) of another graph"),
        (
            "arrays",
            "ValueError: arrays: expected 2 (variable #0 of shape (4, 3), variable #2 of shape (3,)), got 3",
        ),
        (
            "out_shape",
            "ValueError: out_shape: expected (4, 3), the shape of positive((4, 3)) -> (4, 3), got (3, 4)",
        ),
        (
            "words",
            "ValueError: long_product: a call would take 133 words for 18 variables and the result; there are "
            "wrappers for up to 128",
        ),
        (
            "verifier",
            "CompileError: the IR could not be read\nir:7:32: error: use of value '%1' expects different",
        ),
    ],
)
def test_broken(case, sentence):
    done = python("broken.py", case)
    assert done.returncode == 0 and done.stdout.startswith(sentence), done.stdout + done.stderr


def test_only_the_aligned_pointers_are_used():
    """Sizes and strides of a static memref are in the code, so what a call passes for them is not read."""
    done = python("convention.py", "used")
    assert done.stdout == "26 arguments, 4 of them used: x.aligned w.aligned b.aligned y.aligned\n", (
        done.stderr
    )


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_softmax.mlir"], 0),
        (["2", "exercises/solutions/2_sharing.py"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    done = python("exercises/check.py", *arguments)
    assert done.returncode == status, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
