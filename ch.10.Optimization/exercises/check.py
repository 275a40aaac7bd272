"""Checks an exercise of this chapter: `python3 exercises/check.py NUMBER [FILE]`.

FILE is your solution (without it, the stub beside this script). mlir-opt runs the schedule in it. Exits with 0 when
solved.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import chapters  # finds the build tree


def scheduled(file: pathlib.Path) -> str:
    """@product after the schedule in the file."""
    done = subprocess.run(
        ["mlir-opt", "--transform-interpreter", str(file)],
        env=chapters.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("transform.named_sequence")[0]


def epilogue(ir: str) -> None:
    """1: what comes after, on the tile."""
    loop = ir[ir.index("scf.for") :]
    for op in ("linalg.exp", "linalg.matmul", "linalg.fill"):
        made = re.findall(rf"{op}.* -> tensor<(\w+)xf32>", loop)
        assert made == ["8x32"], f"{op} is not on the tile of 8 x 32, inside the loops"


def outer(ir: str) -> None:
    """2: another order of the loops."""
    orders = re.findall(r"iterator_types = \[(.*?)\]", ir)
    assert orders == ['"reduction", "parallel", "parallel"'], f"the loops are {orders}"
    assert re.search(r"affine_map<\(d0, d1, d2\) -> \(d1, d0\)>", ir), "A is not read at [i, k] = [d1, d0]"


def registers(ir: str) -> None:
    """3: a tile for another machine."""
    (body,) = [part for part in re.split(r"(?=scf\.for)|scf\.yield", ir) if "vector.fma" in part] or [""]
    assert body, "there is no loop with vector.fma"
    tiles = {tuple(map(int, t)) for t in re.findall(r"vector<(\d+)x(\d+)xf32>", body.splitlines()[0])}
    assert tiles, "the loop over k carries no vector: C is loaded and stored at each step"
    ((rows, columns),) = tiles
    count = rows * columns // 8
    assert columns % 8 == 0 and count <= 12, f"{rows} x {columns} floats are {rows * columns / 8:g} registers"
    loads = rows + columns // 8  # for one step of k: broadcasts of A, vectors of B
    assert count / loads >= 1.5, f"{count} multiply-adds for {loads} loads: other tiles have more"
    assert "vector.transfer_write" not in body, "C is stored at each step"


EXERCISES = {
    "1": (epilogue, "1_epilogue.mlir"),
    "2": (outer, "2_outer.mlir"),
    "3": (registers, "3_registers.mlir"),
}

if __name__ == "__main__":
    raise SystemExit(chapters.check_exercise(EXERCISES, __doc__, load=scheduled))
