"""Prints what becomes of this chapter's IR: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch2_dynamic_size as ch2

if __name__ == "__main__":
    raise SystemExit(chapters.show(ch2))
