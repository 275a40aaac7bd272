"""What goes wrong, and what is said then: `python3 broken.py fixed | columns | layout | allocation | arguments`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch1_fixed_size as ch1
import ch2_dynamic_size as ch2

A = np.ones((8, 32), np.float32)
B = np.ones((32, 16), np.float32)


def fixed():
    # [fixed]
    ch1.gemm(np.ones((9, 32), np.float32), B)
    # [/fixed]


def columns():
    # [columns]
    ch2.gemm(A, B.T)
    # [/columns]


def layout():
    # [layout]
    ch2.run("func.func @gemm(%A: memref<?x?xf32>, %B: memref<?x?xf32>, %C: memref<?x?xf32>) { return }", A, B)
    # [/layout]


def allocation():
    # [allocation]
    ch2.run(ch2.ir().replace("return", "%copy = memref.alloc() : memref<?x?xf32>\n return"), A, B)
    # [/allocation]


def arguments():
    # [arguments]
    again = "call @gemm(%arg0) : (memref<?x?xf32, strided<[?, ?], offset: ?>>) -> ()\n return"
    ch2.run(ch2.ir().replace("return", again), A, B)
    # [/arguments]


CASES = {case.__name__: case for case in (fixed, columns, layout, allocation, arguments)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch2.CompileError,)))
