"""What chapter 15's kernels compute on a GPU, compared with NumPy; and what is said where there is none. Run it by
pytest, or as a script. Without an NVIDIA GPU the tests that need one are skipped, each by name."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import pytest

import chapters  # finds the build tree
from course_testing import assert_is_product, run_python

import ch15
import ch15_cuda


def missing(hopper: bool = False) -> str | None:
    """Why there is no device, None if there is one."""
    try:
        ch15_cuda.device()
        if hopper:
            ch15_cuda.require_hopper("matmul_f16")
    except ch15_cuda.CudaError as error:
        return str(error)
    return None


on_gpu = pytest.mark.skipif(missing() is not None, reason=f"on a GPU: {missing()}")
on_hopper = pytest.mark.skipif(missing(True) is not None, reason=f"on a Hopper GPU: {missing(True)}")


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


@on_gpu
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 100_003])
def test_vector_add(n):
    a, b = random(n), random(n, seed=1)
    assert np.array_equal(ch15.vector_add(a, b, device="cuda"), a + b)


@on_gpu
@pytest.mark.parametrize(
    "shape", [(0, 0, 0), (1, 1, 1), (0, 5, 3), (3, 0, 4), (16, 16, 16), (17, 33, 5), (500, 300, 700)]
)
def test_matmul(shape):
    M, K, N = shape
    A, B = random(M, K), random(K, N, seed=1)
    C = ch15.matmul(A, B, device="cuda")
    assert_is_product(C, A, B)
    assert np.array_equal(C, ch15.matmul(A, B))  # the same fma in the same order: the same bits


@on_gpu
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 0), (0, 3), (5, 255), (3, 256), (7, 257), (2, 5000)])
def test_softmax(shape):
    x = 4 * random(*shape)
    y = ch15.softmax(x, device="cuda")
    assert y.shape == x.shape
    if x.size:
        e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
        assert np.allclose(y, e / e.sum(axis=-1, keepdims=True), rtol=1e-5, atol=0)


@on_gpu
@pytest.mark.parametrize("number", [0, 1])
def test_both_barriers_of_matmul_count(number):
    """With many blocks under way, also the one that a CPU does not notice."""
    A, B = random(1000, 777), random(777, 900, seed=1)
    lines = ch15.matmul_ir().splitlines()
    del lines[[i for i, line in enumerate(lines) if line.strip() == "gpu.barrier"][number]]
    wrong = ch15.run("\n".join(lines), "matmul", A, B, device="cuda")
    assert not np.array_equal(wrong, ch15.matmul(A, B, device="cuda"))


@on_hopper
@pytest.mark.parametrize(
    "shape",
    [
        (128, 64, 256),
        (1, 1, 1),
        (0, 5, 3),
        (3, 0, 4),
        (5, 64, 0),
        (17, 33, 5),
        (130, 1000, 300),
        (777, 555, 333),
    ],
)
def test_matmul_f16(shape):
    M, K, N = shape
    A, B = random(M, K).astype(np.float16), random(K, N, seed=1).astype(np.float16)
    C = ch15.matmul_f16(A, B)
    exact = A.astype(np.float64) @ B.astype(np.float64)
    assert C.shape == exact.shape and C.dtype == np.float32
    assert np.abs(C - exact).max(initial=0) <= 1e-5 * max(1, np.abs(exact).max(initial=0))


# --- without a GPU ------------------------------------------------------------------------------------------


@pytest.mark.skipif(missing() is None, reason="what is said without a GPU: there is one")
@pytest.mark.parametrize(
    "call", ["vector_add(a, a, device='cuda')", "softmax(a, 'cuda')", "matmul_f16(h, h)"]
)
def test_without_a_device_a_sentence_says_so(call):
    a, h = random(5), np.ones((2, 2), np.float16)
    with pytest.raises(RuntimeError, match="^device 'cuda' needs ") as caught:
        eval(f"ch15.{call}", {"ch15": ch15, "a": a, "h": h})
    assert "\n" not in str(caught.value)


def test_without_the_package_a_sentence_says_so():
    said = run_python(
        """
        import sys
        sys.modules["cuda"] = None
        import chapters, ch15, numpy as np
        try:
            ch15.vector_add(np.ones(3, np.float32), np.ones(3, np.float32), device="cuda")
        except RuntimeError as error:
            print(error)
        """
    )
    assert (
        said == "device 'cuda' needs NVIDIA's package cuda-bindings: python3 -m pip install cuda-bindings\n"
    )


def test_arguments_are_checked_before_a_device_is_looked_for():
    with pytest.raises(ValueError, match=r"b: expected shape \(2, any\), got \(3, 3\)"):
        ch15.matmul(np.ones((2, 2), np.float32), np.ones((3, 3), np.float32), device="cuda")


class FakeDriver:
    """Memory and no device: what is passed to the driver can be looked at."""

    def cuMemAlloc(self, num_bytes):
        self.allocated = num_bytes
        return 0, 4096

    def cuMemFree(self, pointer):
        self.freed = pointer
        return (0,)


def test_a_memref_is_passed_as_chapter_2_says(monkeypatch):
    class Device:
        driver = FakeDriver()

    monkeypatch.setattr(ch15_cuda, "device", Device)
    with ch15_cuda.Buffer((3, 5), np.float32) as buffer:
        # pointer, pointer, offset, sizes, strides
        assert [p.value for p in buffer.memref()] == [4096, 4096, 0, 3, 5, 5, 1]
    assert (Device.driver.allocated, Device.driver.freed) == (60, 4096)


def test_rows_are_padded_for_the_copy_engine():
    a = np.ones((2, 5), np.float16)
    assert ch15_cuda.padded(a, 8).shape == (2, 8) and (ch15_cuda.padded(a, 8)[:, 5:] == 0).all()
    assert ch15_cuda.padded(np.ones((2, 16), np.float16), 8).shape == (2, 16)


if __name__ == "__main__":
    raise SystemExit(chapters.run_tests(__file__))
