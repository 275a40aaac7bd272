"""What goes wrong, and what is said then: `python3 broken.py length | order | kernel | mask | stride | end`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch5_vector_ops as ch5

A = np.ones(100, np.float32)
B = np.ones(100, np.float32)


def length():
    # [length]
    ch5.saxpy(2.0, A, B[1:])
    # [/length]


def order():
    # [order]
    ch5.saxpy(A, 2.0, B)
    # [/order]


def kernel():
    # [kernel]
    ch5.assembly(kernel="avx512")
    # [/kernel]


def mask():
    # [mask]
    ir = ch5.ir(kernel="vector").replace("vector<16xi1>", "vector<8xi1>")
    ch5.run(ir, 2.0, A, B)
    # [/mask]


def stride():
    # [stride]
    ir = """
    func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
      %c0 = arith.constant 0 : index
      %half = arith.constant 50 : index
      %every_other = memref.subview %A[0] [%half] [2] : memref<?xf32> to memref<?xf32, strided<[2]>>
      %x = vector.load %every_other[%c0] : memref<?xf32, strided<[2]>>, vector<16xf32>
      return
    }"""
    ch5.run(ir, 2.0, A, B)
    # [/stride]


def end():
    # [end]
    ir = ch5.ir(kernel="vector")
    ir = ir.replace(", %3 {in_bounds", " {in_bounds")  # the mask is not used any more
    memory = np.zeros(16, np.float32)
    ch5.run(ir, 2.0, A[:5], B[:5], out=memory[:5])
    print(memory)  # five elements are the result, eleven are somebody else's
    # [/end]


CASES = {case.__name__: case for case in (length, order, kernel, mask, stride, end)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch5.CompileError,)))
