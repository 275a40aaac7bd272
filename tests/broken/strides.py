"""A descriptor made by hand, with NumPy's strides: those count bytes, a memref's count elements."""

# says: expected 66.0, got 12.0

import ctypes

import compiled
import numpy as np


class Memref2D(ctypes.Structure):
    _fields_ = [
        ("allocated", ctypes.c_void_p),
        ("aligned", ctypes.c_void_p),
        ("offset", ctypes.c_int64),
        ("sizes", ctypes.c_int64 * 2),
        ("strides", ctypes.c_int64 * 2),
    ]


memory = np.zeros(64, np.float32)  # room for the mistake: nothing outside is read
a = memory[:12].reshape(3, 4)
a[...] = np.arange(12).reshape(3, 4)

descriptor = Memref2D(a.ctypes.data, a.ctypes.data, 0, a.shape)
descriptor.strides[:] = a.strides
# instead: descriptor.strides[:] = [stride // a.itemsize for stride in a.strides]

add_up = compiled.load(compiled.SUM)._mlir_ciface_sum
add_up.restype = ctypes.c_float
result = add_up(ctypes.byref(descriptor))
print(f"expected {a.sum()}, got {result}")
raise SystemExit(0 if result == a.sum() else 1)
