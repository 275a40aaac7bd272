"""Prints what becomes of a product: `python3 show.py [OPTIONS] ir | passes | stages [NAME …] | llvm_ir | assembly`.

The product is a @ b for a [128, 256], b [256, 512]; with --layer it is relu(linear(x, w, b)) of the same sizes, with
--ragged a [13, 37] @ [37, 50]. --pipeline=NAME, one of ch10.PIPELINES, is "optimized" where nothing is said.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch10_optimization as ch10


def zeros(*shape):
    return ch10.Tensor(np.zeros(shape, np.float32))


EXPRESSIONS = {
    "--product": lambda: zeros(128, 256) @ zeros(256, 512),
    "--layer": lambda: ch10.relu(ch10.linear(zeros(128, 256), zeros(512, 256), zeros(512))),
    "--ragged": lambda: zeros(13, 37) @ zeros(37, 50),
}

if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    expression, pipeline = "--product", "optimized"
    for option in options:
        if option in EXPRESSIONS:
            expression = option
        elif option.startswith("--pipeline=") and option[11:] in ch10.PIPELINES:
            pipeline = option[11:]
        else:
            sys.exit(f"{__doc__}\npipelines: {', '.join(ch10.PIPELINES)}")
    raise SystemExit(chapters.show(ch10, EXPRESSIONS[expression](), pipeline))
