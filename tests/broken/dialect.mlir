// This program does not know the dialect: mlir-translate takes only what has a translation to LLVM IR.
// run: mlir-translate --mlir-to-llvmir %s
// instead: run: mlir-opt %s --convert-arith-to-llvm --convert-func-to-llvm | mlir-translate --mlir-to-llvmir
// says: error: Dialect `arith' not found for custom op 'arith.addf'

func.func @double(%x: f32) -> f32 {
  %y = arith.addf %x, %x : f32
  return %y : f32
}
