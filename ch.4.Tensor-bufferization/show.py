"""Prints what becomes of this chapter's IR: `python3 show.py [--naive | --out_parameter] [--leak] ir | passes | stages
[NAME …] | llvm_ir | assembly`. Without an option: of the variant "destination"."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # finds the build tree

import ch4_tensor_bufferization as ch4


def option(name: str) -> bool:
    """Whether the command line has --name, which is taken out of it."""
    found = f"--{name}" in sys.argv
    if found:
        sys.argv.remove(f"--{name}")
    return found


if __name__ == "__main__":
    variants = [name for name in ("naive", "out_parameter") if option(name)]
    deallocate = not option("leak")
    raise SystemExit(chapters.show(ch4, variants[0] if variants else "destination", deallocate))
