"""What the lesson shows: programs that break, its benchmark, and the exercises."""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import pytest

import chapters  # finds the build tree

from ch4_testing import HERE


@pytest.mark.parametrize(
    "case, sentence",
    [
        ("bufferize", "error: op was not bufferized"),
        ("returned", "ValueError: gemm returned the memory of an argument, which it does not own"),
        ("type", "CompileError: @gemm: expected the type (tensor<?x?xf32>, tensor<?x?xf32>, memref<"),
    ],
)
def test_broken(case, sentence):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and sentence in done.stdout, done.stdout + done.stderr


def test_the_benchmark_still_runs():
    """What one of its processes measures: (K, seconds, page faults, yardsticks) of each call."""
    bench = HERE.parent / "bench" / "ch4.py"
    done = subprocess.run(
        [sys.executable, bench, "destination"], env=chapters.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row[0] for row in rows} == {1, 16, 64}
    assert all(seconds > 0 for _, *times in rows for seconds in (times[0], *times[2:]))


@pytest.mark.parametrize(
    "arguments, status, says",
    [
        (["1"], 1, "1 allocations and 2 copies are left"),
        (["2"], 1, "a call for 7 rows allocated 8 buffers"),
        (["3"], 1, "ch4 has no function gemm_into yet"),
        (["1", "exercises/solutions/1_conflict.mlir"], 0, "solved"),
        (["2", "exercises/solutions/2_rows.mlir"], 0, "solved"),
        (["4"], 2, "Checks an exercise"),
    ],
)
def test_exercises(arguments, status, says):
    """The stubs are not solved yet, the solutions solve them."""
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status and says in done.stdout + done.stderr, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
