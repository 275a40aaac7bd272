"""No pass of this pipeline converts the operation, so it reaches the translation to LLVM IR as it was written."""

# says: error: cannot be converted to LLVM IR: missing `LLVMTranslationDialectInterface` registration
# says: for dialect for op: math.sqrt

import ch1_fixed_size as ch1

SQUARE_ROOT = """
    %i = arith.constant 0 : index
    %x = memref.load %arg2[%i, %i] : memref<8x16xf32>
    %y = math.sqrt %x : f32
    // instead: %y = llvm.intr.sqrt(%x) : (f32) -> f32
    memref.store %y, %arg2[%i, %i] : memref<8x16xf32>
    return
"""
try:
    ch1.llvm_ir(ch1.ir().replace("return", SQUARE_ROOT))
    print("translated")
except ch1.CompileError as error:
    raise SystemExit(f"CompileError: {error}") from None
