"""Calls @gemm with 21 arguments, from Python: `python3 by_hand.py call | lie`.

ctypes, of Python's standard library, calls any address with any arguments and checks nothing: like C++'s
reinterpret_cast, and unlike gemm.
"""

import ctypes
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch2_dynamic_size as ch2

# [expand]
POINTER, WORD = ctypes.c_void_p, ctypes.c_int64
# allocated, aligned, offset, sizes, strides
MEMREF = [POINTER, POINTER, WORD, WORD, WORD, WORD, WORD]
FIELDS = ["allocated", "aligned", "offset", "sizes[0]", "sizes[1]", "strides[0]", "strides[1]"]


def expand(d: dict) -> list[int]:
    """A descriptor as the seven arguments that a memref of rank 2 becomes."""
    return [d["allocated"], d["aligned"], d["offset"], *d["sizes"], *d["strides"]]


def gemm(*descriptors: dict) -> None:
    """Writes A @ B into C, given three descriptors."""
    function = ctypes.CFUNCTYPE(None, *3 * MEMREF)(ch2.address("gemm"))
    function(*[argument for d in descriptors for argument in expand(d)])


# [/expand]


def call() -> None:
    """Prints the 21 arguments of one call, and what it writes."""
    arrays = {
        "A": np.arange(6, dtype=np.float32).reshape(2, 3),
        "B": np.arange(12, dtype=np.float32).reshape(4, 3).T,
        "C": np.empty((2, 4), np.float32),
    }
    descriptors = [ch2.descriptor(array) for array in arrays.values()]
    names = {array.ctypes.data: "&" + name for name, array in arrays.items()}
    columns = [[names.get(value, value) for value in expand(d)] for d in descriptors]
    for i, field in enumerate(FIELDS):
        row = "".join(f"{i + 1 + 7 * j:4}: {column[i]!s:5}" for j, column in enumerate(columns))
        print(f"{field:11}{row}".rstrip())
    gemm(*descriptors)
    print("C:", *arrays["C"].tolist())


def lie() -> None:
    """What a wrong size does: nobody is asked, and nobody complains."""
    # [lie]
    block = np.array([[1, 2, 3], [4, 5, 6], [7000, 8000, 9000]], np.float32)
    A = block[:2]  # the last row belongs to somebody else
    B = np.ones((3, 1), np.float32)
    C = np.zeros((3, 1), np.float32)
    for rows in 2, 3:
        gemm(ch2.descriptor(A) | {"sizes": (rows, 3)}, ch2.descriptor(B), ch2.descriptor(C))
        print(f"A has 2 rows, its descriptor says {rows}:", C.ravel().astype(int))
    # [/lie]


CASES = {"call": call, "lie": lie}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        sys.exit(__doc__)
    CASES[sys.argv[1]]()
