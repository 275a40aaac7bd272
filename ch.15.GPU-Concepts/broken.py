"""What goes wrong, and what is said then: `python3 broken.py divergent | shuffle | tensor | chip`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch15_gpu_concepts as ch15

a = np.ones(5, np.float32)


def short(call):
    """Without the whole operation, which MLIR prints after each error."""
    try:
        call()
    except ch15.CompileError as error:
        lines = [line for line in str(error).splitlines() if "error:" in line or "note: it" in line]
        raise ch15.CompileError("\n".join(lines)) from None


def divergent():
    # [divergent]
    ir = ch15.vector_add_ir().replace("memref.store", "gpu.barrier\n memref.store")
    short(lambda: ch15.run(ir, "vector_add", a, a))
    # [/divergent]


def shuffle():
    # [shuffle]
    ir = ch15.vector_add_ir().replace("gpu.return", "%lane = gpu.lane_id\n gpu.return")
    short(lambda: ch15.run(ir, "vector_add", a, a))
    # [/shuffle]


def tensor():
    # [tensor]
    half = np.ones((4, 4), np.float16)
    ch15.matmul_f16(half, half, device="cpu")
    # [/tensor]


def chip():
    # [chip]
    ch15.ptx("matmul_f16", chip="sm_90")
    # [/chip]


CASES = {case.__name__: case for case in (divergent, shuffle, tensor, chip)}

if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch15.CompileError,)))
