"""Loads PTX and launches kernels through the CUDA driver, by NVIDIA's own Python package, cuda-bindings.

Owns the device's context, the modules that were loaded and the memory of a call. Knows nothing of MLIR: what it needs
is the text of a kernel, a launch (grid, block, bytes of workgroup memory) and arrays, so it also runs where only the
PTX was brought. Device 0 is used; CUDA_VISIBLE_DEVICES chooses another one.

A memref is passed as compiled code expects it, expanded (chapter 2): pointer, pointer, offset, sizes, strides.
"""

import ctypes
import functools
import threading

import numpy as np

_CHIPS = (80, 86, 87, 89, 90)  # what the chapter makes PTX for


class CudaError(RuntimeError):
    """The device cannot be used, or the driver refused; the text says what it said."""


# --- the driver ---------------------------------------------------------------------------------------------


def _driver():
    try:
        from cuda.bindings import driver
    except ImportError:
        raise CudaError(
            "device 'cuda' needs NVIDIA's package cuda-bindings: python3 -m pip install cuda-bindings"
        ) from None
    return driver


def check(returned: tuple):
    """What a function of the driver returned, without the status. Raises CudaError where it is not success."""
    status, *values = returned
    if int(status):
        driver = _driver()
        name, text = (f(status)[1].decode() for f in (driver.cuGetErrorName, driver.cuGetErrorString))
        raise CudaError(f"the CUDA driver says {name}: {text}")
    return values[0] if len(values) == 1 else values


class Device:
    """Device 0, and the kernels that were loaded on it."""

    def __init__(self):
        self.driver = _driver()
        try:
            check(self.driver.cuInit(0))
            self.handle = check(self.driver.cuDeviceGet(0))
        except (
            Exception
        ) as error:  # the package looks for the driver at the first call; it has several ways to say no
            reason = " ".join(str(error).split())
            raise CudaError(f"device 'cuda' needs an NVIDIA GPU and its driver: {reason}") from None
        self.context = check(self.driver.cuDevicePrimaryCtxRetain(self.handle))
        self._functions = {}
        self._lock = threading.Lock()

    def activate(self) -> None:
        """Makes the context that of this thread: every thread of a process has to."""
        check(self.driver.cuCtxSetCurrent(self.context))

    @functools.cached_property
    def name(self) -> str:
        return check(self.driver.cuDeviceGetName(256, self.handle)).split(b"\0")[0].decode()

    def attribute(self, name: str) -> int:
        """One of the driver's CU_DEVICE_ATTRIBUTE_…"""
        which = getattr(self.driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return check(self.driver.cuDeviceGetAttribute(which, self.handle))

    @functools.cached_property
    def capability(self) -> tuple[int, int]:
        """(9, 0) for an H100 or H200."""
        return self.attribute("COMPUTE_CAPABILITY_MAJOR"), self.attribute("COMPUTE_CAPABILITY_MINOR")

    def function(self, ptx: str, kernel: str, shared_bytes: int = 0):
        """The kernel of that name, compiled by the driver when it is first asked for."""
        key = (ptx, kernel)
        with self._lock:
            if key not in self._functions:
                self._functions[key] = self._load(ptx, kernel, shared_bytes)
            return self._functions[key]

    def _load(self, ptx: str, kernel: str, shared_bytes: int):
        option, size = self.driver.CUjit_option, 8192
        log = bytearray(size)
        options = [option.CU_JIT_ERROR_LOG_BUFFER, option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES]
        returned = self.driver.cuModuleLoadDataEx(ptx.encode() + b"\0", 2, options, [log, size])
        try:
            module = check(returned)
        except CudaError as error:
            said = log.split(b"\0")[0].decode(errors="replace").strip()
            raise CudaError(f"{kernel} was not loaded: {error}\n{said}".rstrip()) from None
        function = check(self.driver.cuModuleGetFunction(module, kernel.encode()))
        if shared_bytes:
            attribute = self.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            check(self.driver.cuFuncSetAttribute(function, attribute, shared_bytes))
        return function

    # [launch]
    def launch(self, function, grid, block, shared_bytes: int, parameters: list) -> None:
        """Starts the kernel and does not wait for it. parameters: ctypes values, in the order of the kernel's."""
        addresses = (ctypes.c_void_p * len(parameters))(*map(ctypes.addressof, parameters))
        check(
            self.driver.cuLaunchKernel(
                function, *grid, *block, shared_bytes, 0, ctypes.addressof(addresses), 0
            )
        )

    # [/launch]

    def wait(self) -> None:
        """Until all that was started is done; errors of kernels come up here."""
        check(self.driver.cuCtxSynchronize())

    def milliseconds(self, work, repeat: int = 10) -> float:
        """How long one call of work() takes on the device, as the mean of `repeat` calls in a row."""
        start, end = (check(self.driver.cuEventCreate(0)) for _ in range(2))
        check(self.driver.cuEventRecord(start, 0))
        for _ in range(repeat):
            work()
        check(self.driver.cuEventRecord(end, 0))
        check(self.driver.cuEventSynchronize(end))
        took = check(self.driver.cuEventElapsedTime(start, end))
        for event in (start, end):
            check(self.driver.cuEventDestroy(event))
        return took / repeat


@functools.cache
def device() -> Device:
    """Device 0. Raises CudaError, with a sentence, where there is none."""
    return Device()


def chip() -> str:
    """The newest of the chapter's chips whose PTX this device takes: "sm_90" for an H100, and for what came later."""
    major, minor = device().capability
    fitting = [c for c in _CHIPS if c <= 10 * major + minor]
    if not fitting:
        raise CudaError(
            f"device 'cuda': {device().name} has compute capability {major}.{minor}; 8.0 is needed"
        )
    return f"sm_{fitting[-1]}"


def require_hopper(kernel: str) -> None:
    """Raises CudaError unless the device has the instructions of sm_90a."""
    if device().capability != (9, 0):
        raise CudaError(
            f"{kernel} needs a GPU of compute capability 9.0 (H100, H200), "
            f"{device().name} has {'.'.join(map(str, device().capability))}"
        )


# --- memory -------------------------------------------------------------------------------------------------


class Buffer:
    """An array on the device, in C order. Freed by free(), or at the end of a `with`."""

    def __init__(self, shape: tuple[int, ...], dtype):
        self.device = device()
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.num_bytes = int(np.prod(self.shape)) * self.dtype.itemsize
        self.pointer = int(check(self.device.driver.cuMemAlloc(max(self.num_bytes, 1))))

    @classmethod
    def of(cls, array: np.ndarray) -> "Buffer":
        """A copy of the array."""
        buffer = cls(array.shape, array.dtype)
        array = np.ascontiguousarray(array)
        if array.size:
            check(buffer.device.driver.cuMemcpyHtoD(buffer.pointer, array.ctypes.data, buffer.num_bytes))
        return buffer

    def to(self, array: np.ndarray) -> None:
        """Copies the contents into an array of the same shape, in C order, when all kernels are done."""
        self.device.wait()
        if array.size:
            check(self.device.driver.cuMemcpyDtoH(array.ctypes.data, self.pointer, self.num_bytes))

    def memref(self) -> list:
        """The parameters that a memref of this buffer is."""
        strides = [int(np.prod(self.shape[i + 1 :])) for i in range(len(self.shape))]
        return [ctypes.c_int64(word) for word in (self.pointer, self.pointer, 0, *self.shape, *strides)]

    def free(self) -> None:
        check(self.device.driver.cuMemFree(self.pointer))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.free()


def tensor_map(buffer: Buffer, columns: int, box: tuple[int, int]):
    """The map of a float16 matrix for the copy engine, which takes boxes of (rows, columns) of it, as a parameter of
    128 bytes. `columns` of a row are the matrix; the others make its length a multiple of 16 bytes."""
    driver = buffer.device.driver
    rows, stride = buffer.shape
    made = check(
        driver.cuTensorMapEncodeTiled(
            driver.CUtensorMapDataType.CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
            2,
            buffer.pointer,
            [driver.cuuint64_t(columns), driver.cuuint64_t(rows)],  # the size along a row comes first
            [driver.cuuint64_t(stride * 2)],
            [driver.cuuint32_t(box[1]), driver.cuuint32_t(box[0])],
            [driver.cuuint32_t(1), driver.cuuint32_t(1)],
            driver.CUtensorMapInterleave.CU_TENSOR_MAP_INTERLEAVE_NONE,
            driver.CUtensorMapSwizzle.CU_TENSOR_MAP_SWIZZLE_128B,
            driver.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
            driver.CUtensorMapFloatOOBfill.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
        )
    )
    return (ctypes.c_char * 128).from_buffer_copy(ctypes.string_at(int(made.getPtr()), 128))


# --- calls --------------------------------------------------------------------------------------------------


def run(ptx: str, kernel: str, grid, block, shared_bytes: int, arrays: list[np.ndarray]) -> None:
    """Copies the arrays to the device, runs the kernel on them, and copies the last one back: it is the result."""
    if 0 in grid:
        return  # no block, no element: the driver takes no empty grid
    here = device()
    here.activate()
    function = here.function(ptx, kernel, shared_bytes)
    buffers = [Buffer.of(array) for array in arrays]
    try:
        here.launch(function, grid, block, shared_bytes, [p for b in buffers for p in b.memref()])
        buffers[-1].to(arrays[-1])
    finally:
        for buffer in buffers:
            buffer.free()


def padded(array: np.ndarray, multiple: int) -> np.ndarray:
    """The matrix with zeros behind each row, so that `multiple` divides its length."""
    return np.pad(array, ((0, 0), (0, -array.shape[1] % multiple)))


def tensor_core_parameters(a: Buffer, b: Buffer, c: Buffer, k: int, n: int, rows: int, columns: int) -> list:
    """What matmul_f16 takes: two maps, C as a memref, and how many tiles there are along k, down and across.

    a: [M, K] and b: [K, N] with rows of a multiple of 8 numbers, of which k and n count; c: whole tiles.
    """
    maps = [tensor_map(a, k, (rows, 64)), tensor_map(b, n, (64, 64))]
    tiles = [-(-k // 64), c.shape[0] // rows, c.shape[1] // columns]
    return [*maps, *c.memref(), *map(ctypes.c_int64, tiles)]


def run_tensor_cores(
    ptx: str, kernel: str, grid, block, shared_bytes: int, columns: int, arrays: list[np.ndarray]
) -> None:
    """As run(), for matmul_f16: A [M, K] and B [K, N] of float16, C [M, N] of float32. columns: of a tile."""
    A, B, C = arrays
    if 0 in grid:
        return
    if not A.shape[1]:
        C[...] = 0  # a map has no empty axis
        return
    here = device()
    here.activate()
    function = here.function(ptx, kernel, shared_bytes)
    rows = 64 * (block[0] // 128 - 1)
    whole = [-(-size // tile) * tile for size, tile in zip(C.shape, (rows, columns))]
    buffers = [Buffer.of(padded(A, 8)), Buffer.of(padded(B, 8)), Buffer(whole, np.float32)]
    try:
        parameters = tensor_core_parameters(*buffers, A.shape[1], B.shape[1], rows, columns)
        here.launch(function, grid, block, shared_bytes, parameters)
        result = np.empty(whole, np.float32)
        buffers[2].to(result)
    finally:
        for buffer in buffers:
            buffer.free()
    C[...] = result[: C.shape[0], : C.shape[1]]
