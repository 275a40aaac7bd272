"""Prints the assembly of a kernel for a machine that need not be this one: `python3 for_machine.py KERNEL CPU`.

KERNEL is scf, linalg or vector; CPU one of the names below, or another that LLVM knows for x86-64:

    x86-64        every one of them: SSE2, vectors of 4 floats
    x86-64-v3     AVX2, vectors of 8
    x86-64-v4     AVX-512, vectors of 16
    neoverse-n1   an aarch64 with NEON, vectors of 4
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch5_vector_ops as ch5


def assembly(kernel: str, cpu: str) -> str:
    """The function @saxpy, by LLVM's own tools from where MLIR ends."""
    target = [
        "-mtriple=aarch64-linux-gnu" if cpu == "neoverse-n1" else "-mtriple=x86_64-linux-gnu",
        f"-mcpu={cpu}",
    ]
    text = ch5.stages(kernel)[-1][1]
    for tool, *options in (
        ["mlir-translate", "--mlir-to-llvmir"],  # the llvm dialect as LLVM IR
        ["opt", "-O3", *target, "-S"],  # optimized
        ["llc", *target, "--asm-verbose=false"],  # as assembly
    ):
        command = [chapters.llvm_prefix() / "bin" / tool, *options]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode or "not a recognized" in done.stderr:
            raise ValueError(f"{tool}: {done.stderr.splitlines()[0]}")
        text = done.stdout
    return re.search(r"^saxpy:\n(.*?)^\.Lfunc_end0", text, re.M | re.S)[1].rstrip()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        print(assembly(*sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
