// A pass met an operation that it must convert and has no pattern for: math.exp on a whole tensor.
// run: mlir-opt %s --convert-math-to-libm
// instead: run: mlir-opt %s --convert-elementwise-to-linalg --convert-math-to-libm
// says: error: failed to legalize operation 'math.exp' that was explicitly marked illegal

func.func @exp(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = math.exp %x : tensor<8xf32>
  return %y : tensor<8xf32>
}
