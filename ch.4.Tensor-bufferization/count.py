"""Counts what each variant allocates, copies and frees: in its IR, and at run time."""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np

import chapters  # noqa: F401  finds the build tree

import ch4_tensor_bufferization as ch4

VARIANTS = ("naive", "out_parameter", "destination")


# [in-ir]
def in_ir(variant: str, **arguments) -> dict[str, int]:
    """{operation: how many}, when all values have become memory and nothing else has been lowered."""
    names = [name for name, _ in ch4.stages(variant, **arguments)]
    text = ch4.stages(variant, **arguments)[names.index("convert-linalg-to-loops") - 1][1]
    return {op: len(re.findall(rf"\bmemref\.{op}\b", text)) for op in ("alloc", "copy", "dealloc")}


# [/in-ir]


# [at-run-time]
def at_run_time(variant: str, A: np.ndarray, B: np.ndarray, **arguments) -> dict[str, int]:
    """What one call allocates and frees, and what freeing its result frees."""
    before = ch4.allocations()
    C = ch4.gemm(A, B, variant, **arguments)
    called = ch4.allocations()
    del C
    after = ch4.allocations()
    return {
        "allocated": called.made - before.made,
        "freed in the call": called.freed - before.freed,
        "freed with C": after.freed - called.freed,
        "lost": (after.made - before.made) - (after.freed - before.freed),
    }


# [/at-run-time]


def main() -> None:
    A = np.ones((300, 200), np.float32)
    B = np.ones((200, 100), np.float32)
    for deallocate in (True, False):
        print("with" if deallocate else "without", "buffer-deallocation-pipeline")
        for variant in VARIANTS:
            counts = in_ir(variant, deallocate=deallocate) | at_run_time(variant, A, B, deallocate=deallocate)
            print(f"  {variant:14}", "  ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
