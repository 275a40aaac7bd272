"""A descriptor has no element type: the function reads the bytes of float64 as float32."""

# says: expected 66.0, got 10.5625

import ctypes

import compiled
import numpy as np

a = np.arange(12.0).reshape(3, 4)
# instead: a = np.arange(12.0, dtype=np.float32).reshape(3, 4)

# allocated, aligned, offset, sizes, strides: seven words of 64 bits
descriptor = (ctypes.c_int64 * 7)(a.ctypes.data, a.ctypes.data, 0, 3, 4, 4, 1)

add_up = compiled.load(compiled.SUM)._mlir_ciface_sum
add_up.restype = ctypes.c_float
result = add_up(descriptor)
print(f"expected {a.sum()}, got {result}")
raise SystemExit(0 if result == a.sum() else 1)
