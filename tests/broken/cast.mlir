// A cast between two types stayed: the pass that removes pairs of casts runs before the last conversion.
// run: mlir-opt %s --convert-arith-to-llvm --finalize-memref-to-llvm --reconcile-unrealized-casts --convert-func-to-llvm | mlir-translate --mlir-to-llvmir
// instead: run: mlir-opt %s --convert-arith-to-llvm --finalize-memref-to-llvm --convert-func-to-llvm --reconcile-unrealized-casts | mlir-translate --mlir-to-llvmir
// says: error: LLVM Translation failed for operation: builtin.unrealized_conversion_cast

func.func @last(%m: memref<?xf32>) -> f32 {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %n = memref.dim %m, %zero : memref<?xf32>
  %i = arith.subi %n, %one : index
  %x = memref.load %m[%i] : memref<?xf32>
  return %x : f32
}
