"""What goes wrong, and what is said then: `python3 broken.py heads | kind | ir | cse`. The tests have each sentence."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # finds the build tree

import ch11_attention as ch11


def opt(text: str, *passes: str) -> subprocess.CompletedProcess:
    """Runs ch11-opt on IR."""
    return subprocess.run(
        ["ch11-opt", *passes, "-"], input=text, capture_output=True, text=True, env=chapters.environment()
    )


def heads():
    x = np.zeros((9, 32), np.float32)
    ch11.attention(x, x, x, num_heads=5)


def kind():
    ch11.softmax([1.0, 2.0])


def ir():
    """Somebody changed the width of the keys in the IR by hand."""
    x = ch11.Tensor(np.zeros((9, 32), np.float32))
    text = ch11.ir(ch11.attention(x, np.zeros((9, 32), np.float32), x, num_heads=4))
    wrong = text.replace("%arg1: tensor<9x32xf32>", "%arg1: tensor<9x24xf32>").replace(
        "heads 4 : tensor<9x32xf32>, tensor<9x32xf32>", "heads 4 : tensor<9x32xf32>, tensor<9x24xf32>"
    )
    print(opt(wrong).stderr.splitlines()[0].replace("<stdin>", "attention.mlir"))


def cse(length=160):
    """The seconds of bufferization for `length` additions in a row, with and without CSE before it."""
    x = ch11.Tensor(np.zeros(4, np.float32))
    for _ in range(length):
        x = x + x
    text = ch11.ir(x)
    seconds = {}
    for before in ([], ["--cse"]):
        start = time.perf_counter()
        passes = ["--ch11-to-linalg", *before, "--one-shot-bufferize=bufferize-function-boundaries"]
        assert opt(text, *passes).returncode == 0
        seconds[len(before)] = time.perf_counter() - start
    return seconds[1] / seconds[0]


if __name__ == "__main__":
    case = {"heads": heads, "kind": kind, "ir": ir, "cse": lambda: print(f"{cse(500):.0f} times as long")}
    try:
        case[sys.argv[1]]()
    except (ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}")
