"""Prints what becomes of a product: `python3 show.py [OPTIONS] ir | passes | stages [NAME …] | llvm_ir | assembly`.

The product is a @ b for a [128, 256], b [256, 512]; with --layer it is relu(linear(x, w, b)) of the same sizes, with
--ragged a [13, 37] @ [37, 50], with --constant b never changes, with --rows the number of rows is not known either,
with --bfloat16 b is rounded. --pipeline=NAME, one of ch10.PIPELINES, is "optimized" where nothing is said; --lanes=16,
8 or 4 chooses the tile (16: the same text on every machine), --threads=2 makes the loops OpenMP's.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch10_optimization as ch10


def zeros(*shape):
    return ch10.Tensor(np.zeros(shape, np.float32))


def constant(*shape, dtype="float32"):
    return ch10.constant(np.zeros(shape, np.float32), dtype)


EXPRESSIONS = {
    "--product": lambda: zeros(128, 256) @ zeros(256, 512),
    "--layer": lambda: ch10.relu(ch10.linear(zeros(128, 256), zeros(512, 256), zeros(512))),
    "--ragged": lambda: zeros(13, 37) @ zeros(37, 50),
    "--constant": lambda: zeros(128, 256) @ constant(256, 512),
    "--rows": lambda: ch10.rows(np.zeros((1, 256), np.float32)) @ constant(256, 512),
    "--bfloat16": lambda: zeros(128, 256) @ constant(256, 512, dtype="bfloat16"),
}

if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    expression, pipeline, threads, lanes = "--product", "optimized", 1, 16
    for option in options:
        if option in EXPRESSIONS:
            expression = option
        elif option.startswith("--pipeline=") and option[11:] in ch10.PIPELINES:
            pipeline = option[11:]
        elif option in ("--lanes=16", "--lanes=8", "--lanes=4"):
            lanes = int(option[8:])
        elif option == "--threads=2":
            threads = 2
        else:
            sys.exit(f"{__doc__}\npipelines: {', '.join(ch10.PIPELINES)}")
    raise SystemExit(chapters.show(ch10, EXPRESSIONS[expression](), pipeline, threads, lanes))
