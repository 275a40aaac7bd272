// Exercise 2: RMS norm, x / sqrt(mean(x^2) + 1e-5) * gamma, with linalg only.
//
// The function below only scales by gamma. Add the sum of squares of each row and the division by its root; the rows
// are independent, so everything but the sum is parallel.
// Check: python3 exercises/check.py 2
func.func @forward(%x: tensor<4x8xf32> {bufferization.writable = false},
                   %gamma: tensor<8xf32> {bufferization.writable = false}, %out: memref<4x8xf32>)
    attributes {llvm.emit_c_interface} {
  %y = transformer.mul %x, %gamma : tensor<4x8xf32>, tensor<8xf32>
  bufferization.materialize_in_destination %y in restrict writable %out : (tensor<4x8xf32>, memref<4x8xf32>) -> ()
  return
}
