"""What goes wrong, and what is said then: `python3 broken.py bufferize | returned | type`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch4_tensor_bufferization as ch4

A = np.ones((3, 4), np.float32)
B = np.ones((4, 2), np.float32)


def bufferize():
    # [bufferize]
    cast = (
        "%e = builtin.unrealized_conversion_cast %2 : tensor<?x?xf32> to tensor<?x?xf32>\n    bufferization"
    )
    ir = ch4.ir().replace("bufferization", cast, 1).replace("destination %2", "destination %e")
    ch4.run(ir, A, B)
    # [/bufferize]


def returned():
    # [returned]
    ir = "func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>) -> tensor<?x?xf32> { return %A : tensor<?x?xf32> }"
    ch4.run(ir, A, B, "naive", deallocate=False)
    # [/returned]


def type():
    # [type]
    ch4.run(ch4.ir("naive"), A, B, "destination")
    # [/type]


CASES = {case.__name__: case for case in (bufferize, returned, type)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch4.CompileError,)))
