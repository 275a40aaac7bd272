"""What the lesson shows: programs that break, its benchmark and its plot, and the exercises."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree

import ch6
from ch6_testing import HERE, KERNELS, LOWERINGS, PASSES


def run_script(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=HERE, capture_output=True, text=True)


@pytest.mark.parametrize(
    "case, sentences",
    [
        ("lowering", ["ValueError: lowering: expected 'llvm', 'libm' or 'polynomial', got 'fast'"]),
        ("rank", ["ValueError: x: expected shape (any,) or (any, any), got (2, 3, 4)"]),
        (
            "order",
            ["[1.     0.7071 0.5774]", "CompileError: the module calls 'rsqrtf', which nothing here defines"],
        ),
        (
            "carried",
            ["CompileError: the IR could not be read", "'scf.for' op", "scf.yield", "has 0 operands"],
        ),
        ("late", ["CompileError: ", "for dialect for op: func.func", "func.func private @expf"]),
    ],
)
def test_what_breaks_says_so(case, sentences):
    done = run_script("broken.py", case)
    assert done.returncode == 0, done.stdout + done.stderr
    for sentence in sentences:
        assert sentence in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, status",
    [
        (["1"], 1),
        (["2"], 1),
        (["3"], 1),
        (["1", "exercises/solutions/1_online.mlir"], 0),
        (["2", "exercises/solutions/2_log_softmax.mlir"], 0),
        (["3", "exercises/solutions/3_causal.mlir"], 0),
        (["4"], 2),
    ],
)
def test_exercises(arguments, status):
    """The stubs are not solved yet, the solutions solve them."""
    done = run_script("exercises/check.py", *arguments)
    assert done.returncode == status, done.stdout + done.stderr


def test_what_the_benchmark_and_the_plot_measure():
    bench = chapters.run_script(chapters.ROOT / "bench" / "ch6.py")
    x = bench.rows(1000)
    assert set(bench.ours(x)) == {(kernel, lowering) for kernel in KERNELS for lowering in LOWERINGS}
    y = ch6.softmax(x)
    assert np.array_equal(ch6.run(bench.in_the_wrong_order(), x), y)
    assert np.array_equal(ch6.run(bench.with_maxnum(), x), y)
    assert np.allclose(ch6.run(bench.reassociated(), x, kernel="scalar_softmax"), y, rtol=1e-5)
    assert bench.reassociated().count("fastmath<reassoc>") == 1
    assert np.allclose(bench.numpy_softmax(x), y, rtol=1e-5)
    assert bench.ulp_error(bench.sweep(-1, 0, 1000), "libm").max() <= 0.51


def test_show_prints_the_lowering_and_the_kernel_asked_for():
    done = run_script("show.py", "--lowering", "libm", "--kernel", "exp", "stages", "convert-math-to-libm")
    assert "func.func @exp(" in done.stdout and "call @expf" in done.stdout
    passes = run_script("show.py", "passes").stdout.split()
    assert passes == PASSES["polynomial"]


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
