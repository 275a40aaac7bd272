"""What goes wrong, and what is said then: `python3 broken.py shape | dtype | verifier | translation`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch1_fixed_size as ch1

A = np.ones((8, 32), np.float32)
B = np.ones((32, 16), np.float32)


def shape():
    # [shape]
    ch1.gemm(A.T, B)
    # [/shape]


def dtype():
    # [dtype]
    ch1.gemm(A, B.astype(np.float64))
    # [/dtype]


def verifier():
    # [verifier]
    ir = ch1.ir().replace("memref<8x32xf32>", "memref<8x31xf32>")
    ch1.run(ir, A, B)
    # [/verifier]


def translation():
    # [translation]
    square_root = """
        %i = arith.constant 0 : index
        %c = memref.load %arg2[%i, %i] : memref<8x16xf32>
        %r = math.sqrt %c : f32
        memref.store %r, %arg2[%i, %i] : memref<8x16xf32>
        return"""
    ch1.run(ch1.ir().replace("return", square_root), A, B)
    # [/translation]


CASES = {case.__name__: case for case in (shape, dtype, verifier, translation)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch1.CompileError,)))
