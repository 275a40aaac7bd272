"""What the lesson shows: programs that break, its benchmark, and the exercises."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch5
from ch5_testing import HERE, assert_same_bits, expected, random_arrays


def test_the_benchmark_measures_what_it_says():
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch5.py")
    assert all(speed > 0 for speed in bench.gigabytes_a_second(100, turns=1).values())
    A, B = random_arrays(100)
    assert np.array_equal(ch5.run(bench.COPY, 0.3, A, B), A)


def test_the_kernels_of_the_memory_benchmark():
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch5_memory.py")
    assert all(ns > 0 for ns in bench.nanoseconds(64, turns=1).values())
    A, B, C = bench.arrays(64)
    for name, (ir, in_place, _) in bench.CASES.items():
        want = (
            A.copy() if name.startswith("copy") else expected(0.3, A, B) + (C if name.endswith("too") else 0)
        )
        memory = np.zeros(64 + 16, np.float32)  # nontemporal stores want addresses that are multiples of 64
        out = memory[-memory.ctypes.data % 64 // 4 :][:64]
        out[:] = B if in_place else C
        assert_same_bits(ch5.run(ir, 0.3, A, B, out=out), want)


BROKEN = {
    "length": "ValueError: B: expected shape (100,), got (99,)\n",
    "order": "TypeError: alpha: expected a number, got ndarray\n",
    "kernel": "ValueError: kernel: expected 'scf', 'linalg' or 'vector', got 'avx512'\n",
    "mask": "CompileError: the IR could not be read\nir:18:48: error: use of value '%3' expects different type than "
    "prior uses: 'vector<16xi1>' vs 'vector<8xi1>'\n",
    "stride": "CompileError: the IR could not be read\nir:6:12: error: 'vector.load' op most minor memref dim must "
    "have unit stride\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case):
    done = subprocess.run([sys.executable, "broken.py", case], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(BROKEN[case]), done.stdout + done.stderr


def test_broken_end_says_nothing():
    done = subprocess.run([sys.executable, "broken.py", "end"], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.split() == ["[3.", *["3."] * 14, "3.]"], (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_one_loop.mlir"], 0),
        (["2", "exercises/solutions/2_peeled.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    done = subprocess.run(
        [sys.executable, "exercises/check.py", *arguments], cwd=HERE, capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
