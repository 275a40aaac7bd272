"""What goes wrong, and what is said then: `python3 broken.py pipeline | schedule | handle | several | ragged`."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch10_optimization as ch10

HERE = pathlib.Path(__file__).resolve().parent


def opt(*command: str, text: str = "") -> None:
    """Raises what the tool says."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=HERE, env=chapters.environment()
    )
    if done.returncode:
        raise ValueError(done.stderr.strip().replace("<stdin>", "layer.mlir").replace("<unknown>:0: ", ""))


def pipeline():
    # [pipeline]
    ch10.forward(np.zeros((4, 4), np.float32), pipeline="fast")
    # [/pipeline]


def schedule():
    opt("ch10-opt", "--ch10-schedule=name=packd", "-", text="module {}")


def handle():
    opt("mlir-opt", "--transform-interpreter", "transform/handle.mlir")


def several():
    opt("mlir-opt", "--transform-interpreter", "transform/several.mlir")


def ragged():
    opt("mlir-opt", "--transform-interpreter", "transform/ragged.mlir")


CASES = {case.__name__: case for case in (pipeline, schedule, handle, several, ragged)}

if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch10.CompileError,)))
