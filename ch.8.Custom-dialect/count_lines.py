"""Counts what the general call and the textual dialect save: `python3 count_lines.py`.

Lines with code in them: no blank lines, no comments, no #include or import. To the nearest ten.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def region(file: str, name: str | None) -> str:
    """A file of the course, or the part between `// [name]` and `// [/name]`."""
    text = (ROOT / file).read_text()
    if name is None:
        return text
    found = re.search(rf"^\s*(?://|#) \[{name}\]$(.*?)^\s*(?://|#) \[/{name}\]$", text, re.M | re.S)
    if not found:
        sys.exit(f"{file} has no region [{name}]")
    return found[1]


def lines(file: str, name: str | None = None) -> int:
    text = region(file, name)
    if file.endswith(".py"):
        text = re.sub(r'(?m)^\s*"""(?:.|\n)*?"""$', "", text)  # docstrings
    kept = [line.strip() for line in text.splitlines()]
    return sum(bool(line) and not re.match(r"//|# |#$|#include|#pragma|import |from ", line) for line in kept)


CH2, CH7, CH8 = "ch.2.Dynamic-size", "ch.7.Neural-ops", "ch.8.Custom-dialect"


def counts() -> dict[str, dict[str, int]]:
    by_hand = lines(f"{CH2}/inc/ch2/Gemm.h", "descriptor") + lines(f"{CH2}/inc/ch2/Gemm.h", "function-type")
    by_hand += sum(lines(f"{CH2}/src/call.cpp", part) for part in ("describe", "check", "call"))
    return {
        "the call": {
            "ch.2, by hand: 3 matrices of f32": by_hand,
            "ch.7, a table of wrappers: tensors of f32, at most 128 words": (
                lines(f"{CH7}/src/call.cpp") + lines(f"{CH7}/src/jit.cpp", "call")
            ),
            "ch.8, libffi: any number, rank, stride and type": (
                lines(f"{CH8}/src/signature.cpp") + lines(f"{CH8}/src/call.cpp")
            ),
        },
        "the dialect": {
            "ch.7, C++: graph.cpp and ir.cpp": lines(f"{CH7}/src/graph.cpp") + lines(f"{CH7}/src/ir.cpp"),
            "ch.8, text: graph_builder.py and lowering.py": (
                lines(f"{CH8}/graph_builder.py") + lines(f"{CH8}/lowering.py")
            ),
        },
    }


if __name__ == "__main__":
    for what, cases in counts().items():
        print(f"{what}:")
        for name, count in cases.items():
            print(f"{round(count, -1):6} {name}")
