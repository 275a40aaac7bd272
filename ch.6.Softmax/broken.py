"""What goes wrong, and what is said then: `python3 broken.py lowering | rank | order | carried | late`."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch6_softmax as ch6

x = np.array([1, 2, 3], np.float32)


def lowering():
    # [lowering]
    ch6.softmax(x, lowering="fast")
    # [/lowering]


def rank():
    # [rank]
    ch6.softmax(np.ones((2, 3, 4), np.float32))
    # [/rank]


def order():
    # [order]
    ir = ch6.ir(kernel="exp").replace("math.exp", "math.rsqrt")
    print(ch6.run(ir, x, lowering="llvm", kernel="exp").round(4))  # math-to-llvm first
    ch6.run(ir, x, lowering="libm", kernel="exp")  # math-to-libm first
    # [/order]


def carried():
    # [carried]
    ir = ch6.ir(kernel="naive_softmax").replace("scf.yield %3 : f32", "")
    ch6.run(ir, x, kernel="naive_softmax")
    # [/carried]


def late():
    """math-to-libm after func-to-llvm."""
    # [late]
    passes = [f"--{name}" for name, _ in ch6.stages("libm")[1:]]
    passes.remove("--convert-math-to-llvm")
    passes.remove("--convert-math-to-libm")
    passes.insert(passes.index("--convert-func-to-llvm") + 1, "--convert-math-to-libm")
    # [/late]
    tools = chapters.llvm_prefix() / "bin"
    lowered = subprocess.run(
        [tools / "mlir-opt", *passes], input=ch6.ir(kernel="exp"), capture_output=True, text=True, check=True
    )
    done = subprocess.run(
        [tools / "mlir-translate", "--mlir-to-llvmir"], input=lowered.stdout, capture_output=True, text=True
    )
    if done.returncode:
        raise ch6.CompileError(done.stderr.strip())


CASES = {case.__name__: case for case in (lowering, rank, order, carried, late)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch6.CompileError,)))
