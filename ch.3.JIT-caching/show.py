"""Prints what becomes of this chapter's IR: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

The function for all shapes; with 8x32x16 in front, the one whose types say 8x32 by 32x16.
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch3_jit_caching as ch3

if __name__ == "__main__":
    fixed = sys.argv[1:] and re.fullmatch(r"\d+x\d+x\d+", sys.argv[1])
    shape = tuple(map(int, sys.argv.pop(1).split("x"))) if fixed else None
    raise SystemExit(chapters.show(ch3, shape))
