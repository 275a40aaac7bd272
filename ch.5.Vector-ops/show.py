"""Prints what becomes of a kernel: `python3 show.py [KERNEL] ir | passes | stages [NAME …] | llvm_ir | assembly`.

KERNEL is scf (also when it is left out), linalg or vector.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch5_vector_ops as ch5

if __name__ == "__main__":
    kernel = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in ("scf", "linalg", "vector") else "scf"
    raise SystemExit(chapters.show(ch5, kernel))
