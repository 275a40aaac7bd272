"""What goes wrong, and what is said then: `python3 broken.py shape | dtype | verifier | translation`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

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


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in CASES:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        CASES[arguments[0]]()
    except (TypeError, ValueError, ch1.CompileError) as error:
        print(f"{type(error).__name__}: {error}")
        return 0
    return 1  # it did not break


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
