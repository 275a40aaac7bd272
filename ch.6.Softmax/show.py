"""Prints what becomes of this chapter's IR:

    python3 show.py [--lowering NAME] [--kernel NAME] ir | passes | stages [NAME …] | llvm_ir | assembly

Without options: the function softmax, lowered by "polynomial".
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch6_softmax as ch6

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--lowering", default="polynomial")
    parser.add_argument("--kernel", default="softmax")
    options, sys.argv[1:] = parser.parse_known_args()
    raise SystemExit(chapters.show(ch6, options.lowering, options.kernel))
