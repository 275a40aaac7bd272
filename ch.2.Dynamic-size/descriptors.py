"""The descriptors of one array and of views of it: `python3 descriptors.py`.

Addresses are shown relative to the array's own, so that they are the same in every run.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch2_dynamic_size as ch2

# [views]
A = np.arange(24, dtype=np.float32).reshape(4, 6)
VIEWS = {
    "A": A,
    "A.T": A.T,
    "A[1:, ::2]": A[1:, ::2],
    "A[:0]": A[:0],
    "A[2] four times": np.broadcast_to(A[2], (4, 6)),
    "A[::-1]": A[::-1],
}
# [/views]


def place(address: int) -> str:
    """An address inside A as A+bytes; any other is that of a copy."""
    distance = address - A.ctypes.data
    return f"A+{distance}" if 0 <= distance < A.nbytes else "a copy"


if __name__ == "__main__":
    print(f"{'':17}{'allocated':11}{'aligned':11}{'offset':8}{'sizes':9}strides")
    for name, view in VIEWS.items():
        d = ch2.descriptor(view)
        allocated, aligned = place(d["allocated"]), place(d["aligned"])
        print(f"{name:17}{allocated:11}{aligned:11}{d['offset']:<8}{d['sizes']!s:9}{d['strides']}")
