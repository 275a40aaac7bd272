"""What goes wrong, and what is said then: `python3 broken.py CASE`.

CASE: arrays, function, declared, result, crash, template.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch8_custom_dialect as ch8
from lowering import OPS, MLIRLowering

example = chapters.run_script(pathlib.Path(__file__).resolve().parent / "example.py")

x = np.ones((6, 4), np.float32)
factors = np.ones(6)


def arrays():
    # [arrays]
    ch8.execute(example.SCALE_ROWS, "scale_rows", [x, factors.astype(np.float32), 10], (6, 4))
    # [/arrays]


def function():
    # [function]
    ch8.execute(example.SCALE_ROWS, "scale_columns", [x, factors, 10], (6, 4))
    # [/function]


def declared():
    # [declared]
    text = """
func.func private @getpid() -> i32
func.func @f(%out: memref<i32>) {
  %0 = func.call @getpid() : () -> i32
  memref.store %0, %out[] : memref<i32>
  return
}
"""
    ch8.execute(text, "f", [], ())
    # [/declared]


def result():
    # [result]
    text = "func.func @f(%x: memref<4xf32>) -> memref<4xf32> { return %x : memref<4xf32> }"
    ch8.execute(text, "f", [np.ones(4, np.float32)], (4,))
    # [/result]


def crash():
    # [crash]
    text = (pathlib.Path(__file__).parent / "fuzz" / "crash.mlir").read_text()
    ch8.execute(text, "f", [], ())
    # [/crash]


def template():
    # [template]
    relu = OPS["nn.relu"]
    wrong = relu._replace(template=relu.template.replace("maximumf", "maxf"))
    MLIRLowering(OPS | {"nn.relu": wrong}).lower_graph(*example.network())
    # [/template]


CASES = {case.__name__: case for case in (arrays, function, declared, result, crash, template)}


if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch8.CompileError,)))
