"""Prints what becomes of one layer: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

The expression is relu(x @ transpose(w) + b) for x [5, 8], w [16, 8], b [16]. With --relu in front it is
relu(relu(x)) for x [4], with --softmax a softmax of [4, 8].
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch9_tablegen_dialect as ch9


def zeros(*shape):
    return ch9.Tensor(np.zeros(shape, np.float32))


EXPRESSIONS = {
    "--layer": lambda: ch9.relu(zeros(5, 8) @ ch9.transpose(zeros(16, 8)) + zeros(16)),
    "--relu": lambda: ch9.relu(ch9.relu(zeros(4))),
    "--softmax": lambda: ch9.softmax(zeros(4, 8)),
}

if __name__ == "__main__":
    chosen = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in EXPRESSIONS else "--layer"
    raise SystemExit(chapters.show(ch9, EXPRESSIONS[chosen]()))
