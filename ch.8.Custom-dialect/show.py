"""Prints what becomes of this chapter's example: `python3 show.py ir | passes | stages [NAME …] | llvm_ir | assembly`.

Or of a text of yours, named last: `python3 show.py stages example.mlir`. `show.py signature [FUNCTION]` prints the
arguments of a compiled function, `show.py nn` the network of example.py as nn text.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chapters  # finds the build tree

import ch8_custom_dialect as ch8

example = chapters.run_script(pathlib.Path(__file__).resolve().parent / "example.py")


def main() -> int:
    text = example.SCALE_ROWS
    if sys.argv[-1].endswith(".mlir"):
        text = pathlib.Path(sys.argv.pop()).read_text()
    if sys.argv[1:2] == ["nn"]:
        graph, value = example.network()
        print(graph.text(value), end="")
        return 0
    if sys.argv[1:2] == ["signature"]:
        words = ch8.signature(text, *sys.argv[2:] or ["scale_rows"])
        for parameter in dict.fromkeys(name.split()[0] for name, _ in words):
            fields = [(name, kind) for name, kind in words if name.split()[0] == parameter]
            print(
                f"{parameter}:",
                ", ".join(f"{name.partition(' ')[2]} {kind}".strip() for name, kind in fields),
            )
        return 0
    return chapters.show(ch8, text)


if __name__ == "__main__":
    raise SystemExit(main())
