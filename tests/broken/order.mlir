// Passes in the wrong order: convert-math-to-libm takes all of math, so nothing is left for convert-math-to-llvm.
// run: mlir-opt %s --convert-math-to-libm --convert-math-to-llvm --convert-func-to-llvm | mlir-runner -e main -entry-point-result=f32
// instead: run: mlir-opt %s --convert-math-to-llvm --convert-math-to-libm --convert-func-to-llvm | mlir-runner -e main -entry-point-result=f32
// says: Symbols not found: [ rsqrtf ]

func.func @main() -> f32 {
  %four = llvm.mlir.constant(4.0 : f32) : f32
  %half = math.rsqrt %four : f32
  return %half : f32
}
