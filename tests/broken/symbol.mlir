// Compiled code calls a function that no loaded library has: a strided memref.copy becomes a call of memrefCopy.
// run: mlir-opt %s --convert-arith-to-llvm --finalize-memref-to-llvm --convert-func-to-llvm --reconcile-unrealized-casts | mlir-runner -e main -entry-point-result=f32
// instead: run: mlir-opt %s --convert-arith-to-llvm --finalize-memref-to-llvm --convert-func-to-llvm --reconcile-unrealized-casts | mlir-runner -e main -entry-point-result=f32 -shared-libs=$LLVM/lib/libmlir_c_runner_utils.so
// says: Symbols not found: [ memrefCopy ]

memref.global "private" constant @values : memref<2x4xf32> = dense<[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]>
func.func @main() -> f32 {
  %one = arith.constant 1 : index
  %values = memref.get_global @values : memref<2x4xf32>
  %column = memref.reinterpret_cast %values to offset: [3], sizes: [2], strides: [4]
      : memref<2x4xf32> to memref<2xf32, strided<[4], offset: 3>>
  %copy = memref.alloca() : memref<2xf32>
  memref.copy %column, %copy : memref<2xf32, strided<[4], offset: 3>> to memref<2xf32>
  %x = memref.load %copy[%one] : memref<2xf32>
  return %x : f32
}
