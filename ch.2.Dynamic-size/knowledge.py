"""What LLVM makes of the product when it knows more or less: `python3 knowledge.py`.

The arguments have this chapter's types. Inside, memref.reinterpret_cast gives them types that say more; the
caller must keep what they say (strides of 1, the sizes that the IR was made for).
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import chapters  # noqa: F401  finds the build tree

import ch2_dynamic_size as ch2

ANY = "memref<?x?xf32, strided<[?, ?], offset: ?>>"


def view(known: str, name: str, rows: int, columns: int) -> tuple[str, str]:
    """(lines that define %name_view, the argument %name with a type that says what is known; that type)."""
    if known == "nothing":
        return "", ANY
    if known == "all sizes":
        sizes, strides, result = [rows, columns], [columns, 1], f"memref<{rows}x{columns}xf32>"
    else:
        sizes, strides = [f"%{name}_sizes#0", f"%{name}_sizes#1"], [f"%{name}_strides#0", 1]
        result = "memref<?x?xf32, strided<[?, 1]>>"
    return (
        f"""
        %{name}_base, %{name}_offset, %{name}_sizes:2, %{name}_strides:2 =
            memref.extract_strided_metadata %{name} : {ANY} -> memref<f32>, index, index, index, index, index
        %{name}_view = memref.reinterpret_cast %{name}
            to offset: [0], sizes: [{sizes[0]}, {sizes[1]}], strides: [{strides[0]}, {strides[1]}]
            : {ANY} to {result}""",
        result,
    )


def ir(known: str, order: str, M: int = 8, K: int = 32, N: int = 16) -> str:
    """The product with loops in this order ("ijk", "ikj"), as this chapter's @gemm."""
    (viewA, A), (viewB, B), (viewC, C) = (
        view(known, name, *shape) for name, shape in {"A": (M, K), "B": (K, N), "C": (M, N)}.items()
    )
    a, b, c = ("%A", "%B", "%C") if known == "nothing" else ("%A_view", "%B_view", "%C_view")
    loops = ", ".join(order)
    kinds = ", ".join('"reduction"' if loop == "k" else '"parallel"' for loop in order)
    return f"""
      func.func @gemm(%A: {ANY}, %B: {ANY}, %C: {ANY}) {{
        %zero = arith.constant 0.0 : f32{viewA}{viewB}{viewC}
        linalg.fill ins(%zero : f32) outs({c} : {C})
        linalg.generic {{
          indexing_maps = [
            affine_map<({loops}) -> (i, k)>, affine_map<({loops}) -> (k, j)>, affine_map<({loops}) -> (i, j)>
          ],
          iterator_types = [{kinds}]
        }} ins({a}, {b} : {A}, {B}) outs({c} : {C}) {{
        ^bb0(%x: f32, %y: f32, %z: f32):
          %p = arith.mulf %x, %y : f32
          %s = arith.addf %z, %p : f32
          linalg.yield %s : f32
        }}
        return
      }}"""


def verdict(llvm_ir: str) -> str:
    """How the multiplications of @gemm are done."""
    gemm = re.search(r"define void @gemm\(.*?\n}", llvm_ir, re.S)[0]
    if not re.search(r"fmul <\d+ x float>", gemm):
        return "one by one"
    # LLVM's name for a comparison of a stride with 1 in front of a loop.
    return "vectors, if strides are 1" if "%ident.check" in gemm else "vectors"


CASES = {  # what is printed: known, sizes (which count only where they are known)
    "nothing": ("nothing", (8, 32, 16)),
    "the step along a row": ("the step along a row", (8, 32, 16)),
    "all sizes, 64x64x64": ("all sizes", (64, 64, 64)),
    "all sizes, 8x32x16": ("all sizes", (8, 32, 16)),
}

if __name__ == "__main__":
    print(f"{'known':22}{'loops i, j, k':15}loops i, k, j")
    for name, (known, sizes) in CASES.items():
        ijk, ikj = (verdict(ch2.llvm_ir(ir(known, order, *sizes))) for order in ("ijk", "ikj"))
        print(f"{name:22}{ijk:15}{ikj}")
