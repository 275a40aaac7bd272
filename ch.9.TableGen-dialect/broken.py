"""What goes wrong, and what is said then: `python3 broken.py shape | parse | verifier | pattern`."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch9_tablegen_dialect as ch9


def opt(text: str, *options: str) -> None:
    """Raises the first line of what ch9-opt says about IR."""
    done = subprocess.run(
        ["ch9-opt", *options, "-"], input=text, capture_output=True, text=True, env=chapters.environment()
    )
    if done.returncode:
        raise ValueError(done.stderr.splitlines()[0].replace("<stdin>", "layer.mlir"))


def shape():
    # [shape]
    ch9.linear(np.zeros((5, 8), np.float32), np.zeros((8, 16), np.float32))
    # [/shape]


def parse():
    """A type where the assembly format wants two."""
    opt("""func.func @f(%x: tensor<4xf32>) {
  %0 = nn.add %x, %x : tensor<4xf32>
  return
}""")


def verifier():
    opt("""func.func @f(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>) {
  %0 = nn.linear %x, %w : tensor<4x8xf32>, tensor<8x16xf32>
  return
}""")


def pattern():
    """An op that the dialect does not have."""
    opt(
        """func.func @f(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = "nn.gelu"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}""",
        "--ch9-to-linalg",
    )


CASES = {case.__name__: case for case in (shape, parse, verifier, pattern)}

if __name__ == "__main__":
    raise SystemExit(chapters.show_error(CASES, __doc__, errors=(ch9.CompileError,)))
