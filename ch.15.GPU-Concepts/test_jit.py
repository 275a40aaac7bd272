"""What chapter 15 must do on a CPU. Run it by pytest, or as a script: `python3 test_jit.py`. (Its PTX: test_ptx.py.
What a GPU does with it: test_cuda.py.)"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chapters  # finds the build tree
from course_testing import EPSILON, assert_is_product, memory_growth_kb, strided, ticks_during, together

import ch15
import ch15_gpu_concepts

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = ["vector_add", "matmul", "softmax"]
SIZES = [0, 1, 2, 15, 16, 17, 33, 255, 256, 257]


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def assert_is_softmax(y, x):
    """Up to rounding: each of exp, its argument, the sum of at most n / 256 + 8 terms a thread and the quotient."""
    assert y.shape == x.shape and y.dtype == np.float32
    if x.size == 0:
        return
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    distance = (wide.max(axis=-1, keepdims=True) - wide).max()
    bound = (2 * distance + x.shape[-1] / 256 + 20) * EPSILON * p + 2.0**-126
    assert (np.abs(y - p) <= bound).all()


# --- results ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [*SIZES, 1000, 100_003])
def test_vector_add(n):
    a, b = random(n), random(n, seed=1)
    assert np.array_equal(ch15.vector_add(a, b), a + b)


@pytest.mark.parametrize(
    "shape",
    [(0, 0, 0), (1, 1, 1), (0, 5, 3), (3, 0, 4), (4, 7, 0), (16, 16, 16), (17, 33, 5), (100, 70, 130)],
)
def test_matmul(shape):
    M, K, N = shape
    A, B = random(M, K), random(K, N, seed=1)
    assert_is_product(ch15.matmul(A, B), A, B)


@pytest.mark.parametrize("n", [*SIZES, 512, 5000])
def test_softmax(n):
    for rows in (0, 1, 3):
        x = 4 * random(rows, n)
        assert_is_softmax(ch15.softmax(x), x)
    assert_is_softmax(ch15.softmax(4 * random(n)), 4 * random(n))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_shape_and_any_strides(data):
    size = st.sampled_from([0, 1, 3, 16, 17, 40])
    M, K, N = data.draw(st.tuples(size, size, size))
    A, B = data.draw(strided((M, K))), data.draw(strided((K, N)))
    assert_is_product(ch15.matmul(A, B), A, B)
    a, b = data.draw(strided((M,))), data.draw(strided((M,)))
    assert np.array_equal(ch15.vector_add(a, b), a + b)
    assert_is_softmax(ch15.softmax(A), A)


def test_special_rows():
    """As in chapter 6: it is what the formula gives."""
    inf, nan = np.inf, np.nan
    x = np.array(
        [[1, 2, nan, 3], [inf, 1, 2, 3], [-inf] * 4, [-inf, 0, 0, -inf], [1e30, 1e30, 0, -1e30]], np.float32
    )
    y = ch15.softmax(x)
    assert np.isnan(y[:3]).all()
    assert np.array_equal(y[3:], [[0, 0.5, 0.5, 0], [0.5, 0.5, 0, 0]])
    beyond = np.full((1, 600), -inf, np.float32)  # the only number is of the last turn of one thread
    beyond[0, 599] = 3
    assert np.array_equal(ch15.softmax(beyond), (beyond == 3).astype(np.float32))


def test_a_row_is_the_same_whoever_is_beside_it():
    x = random(50, 700)
    assert np.array_equal(ch15.softmax(x)[17], ch15.softmax(x[17]))


# --- barriers -----------------------------------------------------------------------------------------------


def without_barrier(ir: str, number: int) -> str:
    """The IR without its barrier of this number."""
    lines = ir.splitlines()
    del lines[[i for i, line in enumerate(lines) if line.strip() == "gpu.barrier"][number]]
    return "\n".join(lines)


def test_without_the_first_barrier_a_product_is_wrong():
    A, B = random(40, 50), random(50, 30, seed=1)
    ir = ch15.matmul_ir()
    assert np.array_equal(ch15.run(ir, "matmul", A, B), ch15.matmul(A, B))
    wrong = ch15.run(without_barrier(ir, 0), "matmul", A, B)
    assert (~np.isclose(wrong, A @ B, atol=1e-3)).mean() > 0.5


def test_without_the_second_barrier_a_cpu_does_not_notice():
    """A loop over threads ends before the next turn of the loop around it begins, barrier or not. A GPU notices."""
    A, B = random(40, 50), random(50, 30, seed=1)
    ir = ch15.matmul_ir()
    assert ir.count("gpu.barrier") == 2
    assert np.array_equal(ch15.run(without_barrier(ir, 1), "matmul", A, B), ch15.matmul(A, B))


def test_without_the_barrier_of_its_loop_a_sum_is_wrong():
    """softmax has six: store, barrier, halvings with a barrier each, load, barrier; for the maximum and for the sum."""
    x = 4 * random(3, 700)
    ir = ch15.softmax_ir()
    assert ir.count("gpu.barrier") == 6
    y = ch15.softmax(x)
    assert not np.allclose(ch15.run(without_barrier(ir, 4), "softmax", x), y)
    # A wrong maximum shows in the roundings only: softmax is the same for any number that is subtracted.
    shifted = ch15.run(without_barrier(ir, 1), "softmax", x)
    assert np.allclose(shifted, y) and not np.array_equal(shifted, y)


def test_a_kernel_is_cut_at_its_barriers():
    stage = dict(ch15.stages("matmul"))["ch15-launch-to-loops"]
    chapters.filecheck(
        stage,
        """
        // CHECK-LABEL: func.func @matmul(
        // CHECK:         scf.parallel
        // CHECK:           func.call @matmul_block
        // CHECK-LABEL: func.func private @matmul_block(
        // CHECK:         scf.for
        // CHECK:           scf.for
        // CHECK:             scf.for
        // CHECK-NOT:   gpu.
        """,
    )


# --- IR, stages, code -----------------------------------------------------------------------------------------

CPU_PASSES = [
    "ch15-launch-to-loops",
    "canonicalize",
    "cse",
    "ch15-approximate-math",
    "async-parallel-for",
    "async-to-async-runtime",
    "async-runtime-ref-counting",
    "async-runtime-ref-counting-opt",
    "convert-async-to-llvm",
    "expand-strided-metadata",
    "lower-affine",
    "convert-scf-to-cf",
    "convert-math-to-llvm",
    "finalize-memref-to-llvm",
    "convert-arith-to-llvm",
    "convert-func-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
    "canonicalize",
    "cse",
]


@pytest.mark.parametrize("kernel", KERNELS)
def test_ir_has_a_host_and_a_kernel(kernel):
    ir = getattr(ch15, f"{kernel}_ir")()
    assert ir == ch15.ir(kernel)
    chapters.filecheck(
        ir,
        f"""
        // CHECK: module attributes {{gpu.container_module}}
        // CHECK: func.func @{kernel}(
        // CHECK: gpu.launch_func @kernels::@{kernel} blocks in ({{{{.+}}}}) threads in ({{{{.+}}}})
        // CHECK: gpu.module @kernels
        // CHECK: gpu.func @{kernel}({{{{.+}}}} kernel
        // CHECK-DAG: gpu.thread_id x
        // CHECK-DAG: gpu.block_id
        // CHECK: gpu.return
        """,
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_stages_end_in_the_llvm_dialect(kernel):
    stages = ch15.stages(kernel)
    assert stages[0] == ("input", ch15.ir(kernel))
    assert [name for name, _ in stages[1:]] == CPU_PASSES
    dialects = set(re.findall(r"^\s*(?:%\S+ = )?\"?(\w+)\.", stages[-1][1], re.M))
    assert dialects == {"llvm"}


def test_upstream_s_outlining_makes_what_the_pass_takes():
    """gpu.launch, with the kernel's code in place, is outlined by upstream's pass first."""
    ir = """
    func.func @fill(%A: memref<?xf32>, %blocks: index) {
      %one = arith.constant 1 : index
      %c8 = arith.constant 8 : index
      %x = arith.constant 2.0 : f32
      gpu.launch blocks(%bx, %by, %bz) in (%gx = %blocks, %gy = %one, %gz = %one)
                 threads(%tx, %ty, %tz) in (%sx = %c8, %sy = %one, %sz = %one) {
        %first = arith.muli %bx, %sx : index
        %i = arith.addi %first, %tx : index
        memref.store %x, %A[%i] : memref<?xf32>
        gpu.terminator
      }
      return
    }"""
    passes = ["--gpu-kernel-outlining", "--ch15-launch-to-loops"]
    done = subprocess.run(
        ["ch15-opt", *passes], input=ir, capture_output=True, text=True, env=chapters.environment()
    )
    assert done.returncode == 0, done.stderr
    assert "scf.parallel" in done.stdout and "gpu." not in done.stdout


@pytest.mark.parametrize("kernel", KERNELS)
def test_code(kernel):
    assert f"define void @{kernel}(" in ch15.llvm_ir(kernel)
    assert f"{kernel}:" in ch15.assembly(kernel)


# --- wrong arguments ----------------------------------------------------------------------------------------

F32 = np.ones((3, 4), np.float32)


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: ch15.vector_add([1.0], F32[0]), TypeError, "a: expected a NumPy array of float32, got list"),
        (lambda: ch15.vector_add(F32, F32), ValueError, "a: expected shape (any,), got (3, 4)"),
        (lambda: ch15.vector_add(F32[0], F32[0, :3]), ValueError, "b: expected shape (4,), got (3,)"),
        (lambda: ch15.matmul(F32, F32), ValueError, "b: expected shape (4, any), got (3, 4)"),
        (
            lambda: ch15.matmul(F32.astype(float), F32.T),
            TypeError,
            "a: expected an array of float32, got one of float64",
        ),
        (
            lambda: ch15.softmax(F32[None]),
            ValueError,
            "x: expected shape (any,) or (any, any), got (1, 3, 4)",
        ),
        (lambda: ch15.softmax(F32, device="gpu"), ValueError, "device: expected 'cpu' or 'cuda', got 'gpu'"),
        (
            lambda: ch15.matmul_f16(F32, F32, device="cpu"),
            ValueError,
            "device: matmul_f16 is made of instructions that only a GPU has; expected 'cuda', got 'cpu'",
        ),
        (
            lambda: ch15.ir("add"),
            ValueError,
            "kernel: expected one of 'vector_add', 'matmul', 'softmax', 'matmul_f16', got 'add'",
        ),
        (lambda: ch15.run("", "softmax", F32, F32), TypeError, "softmax: expected 1 array, got 2"),
        (lambda: ch15.launch("matmul", [3]), ValueError, "sizes: expected 2 of the result, got 1"),
        (
            lambda: ch15.matmul_f16_ir(columns=100),
            ValueError,
            "columns: expected a multiple of 64 up to 256, got 100",
        ),
        (
            lambda: ch15.matmul_f16_ir(stages=5),
            ValueError,
            "stages: expected what fits into 232448 bytes, got 246784",
        ),
    ],
)
def test_wrong_arguments(call, error, said):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == said


def test_what_the_pass_refuses_arrives_whole():
    ir = ch15.vector_add_ir().replace("memref.store", "gpu.barrier\n        memref.store")
    with pytest.raises(ch15.CompileError, match="only some threads of a block may reach") as caught:
        ch15.run(ir, "vector_add", F32[0], F32[0])
    assert "note: it depends on a thread id, which differs between threads" in str(caught.value)


def test_the_function_must_have_the_type():
    with pytest.raises(ch15.CompileError, match="the IR defines no func.func @matmul"):
        ch15.run(ch15.vector_add_ir(), "matmul", F32, F32.T)


# --- many threads, many calls --------------------------------------------------------------------------------


def test_calls_from_many_threads():
    A, B, x = random(70, 90), random(90, 50, seed=1), random(20, 300)
    expected = [ch15.matmul(A, B), ch15.softmax(x)]
    for _ in range(5):
        ch15.clear_cache()  # compiled anew, while the pool of threads works for others
        results = together(*[lambda: ch15.matmul(A, B), lambda: ch15.softmax(x)] * 4)
        for i, result in enumerate(results):
            assert np.array_equal(result, expected[i % 2])


def test_other_python_threads_run_meanwhile():
    A = random(300, 300)
    assert ticks_during(lambda: ch15.matmul(A, A)) > 20


def test_compiled_once():
    ch15.clear_cache()
    for _ in range(3):
        ch15.vector_add(F32[0], F32[0])
    info = ch15.cache_info()
    assert (info.misses, info.hits) == (1, 2)


def test_memory_does_not_grow():
    setup = "import ch15\nx = np.ones((40, 300), np.float32)"
    assert memory_growth_kb(setup, "ch15.softmax(x)", warm_up=200, calls=2000) < 1024


def test_inputs_are_not_written():
    a, b, x = random(300), random(300, seed=1), random(3, 300)
    before = [array.copy() for array in (a, b, x)]
    ch15.vector_add(a, b)
    ch15.softmax(x)
    assert all(np.array_equal(array, copy) for array, copy in zip((a, b, x), before))


def test_both_names():
    assert ch15 is ch15_gpu_concepts


# --- exercises, errors shown ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_exercise(number):
    """The stub is not solved yet, the solution is."""
    check = [sys.executable, "exercises/check.py", number]
    (solution,) = (HERE / "exercises/solutions").glob(f"{number}_*")
    for arguments, status in [([], 1), ([str(solution)], 0), ([str(HERE / "nowhere.mlir")], None)]:
        done = subprocess.run(
            [*check, *arguments], cwd=HERE, capture_output=True, text=True, env=chapters.environment()
        )
        assert status is None or done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize("case", ["divergent", "shuffle", "tensor", "chip"])
def test_broken(case):
    done = subprocess.run(
        [sys.executable, "broken.py", case],
        cwd=HERE,
        capture_output=True,
        text=True,
        env=chapters.environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
