"""Prints what becomes of a small step: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

The shape is small so that it can be read, the tile is that of AVX-512 whatever the machine.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch14_gpt_optimized as gpt

#        vocabulary, positions, width, heads, inner, page_size, lanes
SHAPE = (64, 32, 32, 2, 64, 4, 16)

if __name__ == "__main__":
    raise SystemExit(chapters.show(gpt, *SHAPE))
