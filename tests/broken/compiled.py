"""MLIR text -> a loaded library, for the cases that call compiled code by hand. (The lessons use ExecutionEngine.)"""

import ctypes
import os
import subprocess
import tempfile

# [sum]
SUM = """
!M = memref<?x?xf32, strided<[?, ?], offset: ?>>
func.func @sum(%m: !M) -> f32 attributes {llvm.emit_c_interface} {
  %0 = arith.constant 0 : index
  %1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %rows = memref.dim %m, %0 : !M
  %columns = memref.dim %m, %1 : !M
  %sum = scf.for %i = %0 to %rows step %1 iter_args(%above = %zero) -> f32 {
    %row = scf.for %j = %0 to %columns step %1 iter_args(%so_far = %above) -> f32 {
      %x = memref.load %m[%i, %j] : !M
      %next = arith.addf %so_far, %x : f32
      scf.yield %next : f32
    }
    scf.yield %row : f32
  }
  return %sum : f32
}
"""
# [/sum]

COMMAND = """
mlir-opt --convert-scf-to-cf --convert-arith-to-llvm --finalize-memref-to-llvm --convert-func-to-llvm \
         --convert-cf-to-llvm --reconcile-unrealized-casts |
  mlir-translate --mlir-to-llvmir |
  llc -O2 --relocation-model=pic -filetype=obj -o code.o
"$CXX" -shared code.o -o code.so
"""


def load(text: str) -> ctypes.CDLL:
    """The functions of a module, compiled for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["bash", "-e", "-o", "pipefail", "-c", COMMAND]
        subprocess.run(command, input=text, text=True, cwd=folder, check=True)
        return ctypes.CDLL(os.path.join(folder, "code.so"))
