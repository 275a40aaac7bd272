"""Ops of this chapter by themselves: a text with some of them, lowered by ch14-opt as in the step, compiled by ch.8.

For tests and measurements. Arguments are ch.8's: memrefs of float32 or int32.
"""

import functools
import subprocess

import chapters

import ch8_custom_dialect as ch8
import ch14_gpt_optimized as ch14

TOOL = chapters.build_folder(chapters.ROOT / "ch.14.GPT-Optimized") / "ch14-opt"


@functools.cache
def lowered(text: str) -> str:
    """The text as loops over vectors, exp and tanh as polynomials. RuntimeError with MLIR's diagnostics."""
    passes = ["--ch14-expand-kernels", "--ch11-approximate-math", "--canonicalize", "--cse"]
    done = subprocess.run([str(TOOL), *passes], input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


@functools.cache
def compiled(text: str, function: str = "f"):
    """A callable (arrays, out_shape) -> array: see ch8_custom_dialect.compiled."""
    return ch8.compiled(lowered(text), function, trusted=True)


def elementwise(op: str) -> str:
    """@f: `op` of every number of a vector, whose length is a multiple of the tile's lanes."""
    lanes = ch14.host_tile()["lanes"]
    return f"""
func.func @f(%x: memref<?xf32>, %out: memref<?xf32>) {{
  %zero = arith.constant 0 : index
  %step = arith.constant {lanes} : index
  %end = memref.dim %x, %zero : memref<?xf32>
  scf.for %i = %zero to %end step %step {{
    %v = vector.load %x[%i] : memref<?xf32>, vector<{lanes}xf32>
    %r = {op} %v : vector<{lanes}xf32>
    vector.store %r, %out[%i] : memref<?xf32>, vector<{lanes}xf32>
  }}
  return
}}"""


def gelu() -> str:
    """@f: the epilogue's GELU of rows as wide as a panel: a product with the identity, whose sums are exact."""
    n = ch14.host_tile()["panel"]
    return f"""
func.func @f(%x: memref<?x{n}xf32>, %identity: memref<1x{n}x{n}xf32>, %out: memref<?x{n}xf32>) {{
  transformer.rows_linear %x, %identity into %out {{gelu}}
      : memref<?x{n}xf32>, memref<1x{n}x{n}xf32>, memref<?x{n}xf32>
  return
}}"""


def linear(k: int, n: int, epilogue: str = "", bias: bool = False) -> str:
    """@f(x [T, k], packed weights, bias [n], what out held [T, n]) -> [T, n]. epilogue: "gelu", "accumulate" or ""."""
    panel = ch14.host_tile()["panel"]
    types = f"memref<?x{k}xf32>, memref<{n // panel}x{k}x{panel}xf32>, memref<?x{n}xf32>"
    if bias:
        types += f", memref<{n}xf32>"
    return f"""
func.func @f(%x: memref<?x{k}xf32>, %w: memref<{n // panel}x{k}x{panel}xf32>, %b: memref<{n}xf32>,
             %old: memref<?x{n}xf32>, %out: memref<?x{n}xf32>) {{
  memref.copy %old, %out : memref<?x{n}xf32> to memref<?x{n}xf32>
  transformer.rows_linear %x, %w{" bias %b" if bias else ""} into %out {{{epilogue}}} : {types}
  return
}}"""


def norm(d: int, epsilon: float) -> str:
    """@f(x [T, d], gamma [d], beta [d]) -> [T, d]"""
    rows, vector = f"memref<?x{d}xf32>", f"memref<{d}xf32>"
    return f"""
func.func @f(%x: {rows}, %gamma: {vector}, %beta: {vector}, %out: {rows}) {{
  transformer.rows_norm %x, %gamma, %beta into %out {{epsilon = {epsilon:.9e} : f32}}
      : {rows}, {vector}, {vector}, {rows}
  return
}}"""


def attention(heads: int, head_dim: int, page_size: int) -> str:
    """@f(qkv [T, heads * head_dim], positions, sequences, tables, keys, values) -> [T, heads * head_dim]"""
    rows = f"memref<?x{heads * head_dim}xf32>"
    keys = f"memref<?x{heads}x{head_dim}x{page_size}xf32>"
    values = f"memref<?x{heads}x{page_size}x{head_dim}xf32>"
    return f"""
func.func @f(%qkv: {rows}, %positions: memref<?xi32>, %sequences: memref<?xi32>, %tables: memref<?x?xi32>,
             %keys: {keys}, %values: {values}, %out: {rows}) {{
  transformer.paged_attention %qkv, %positions, %sequences, %tables, %keys, %values into %out
      : {rows}, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, {keys}, {values}, {rows}
  return
}}"""
