// Exercise 2: a loop that asks for memory in each turn.
//
// The product, one row after the other, in the variant "out_parameter", which does not eliminate empty
// tensors. Each turn makes its row in a buffer of its own and copies it into C:
//
//   python3 exercises/check.py 2
//
// Let the row be computed where it belongs: the destination of the fill can be a slice of %before. One
// buffer for the whole call is left then, C's own.
func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %M = tensor.dim %A, %c0 : tensor<?x?xf32>
  %K = tensor.dim %A, %c1 : tensor<?x?xf32>
  %N = tensor.dim %B, %c1 : tensor<?x?xf32>
  %empty = tensor.empty(%M, %N) : tensor<?x?xf32>
  %C = scf.for %i = %c0 to %M step %c1 iter_args(%before = %empty) -> tensor<?x?xf32> {
    %a = tensor.extract_slice %A[%i, 0] [1, %K] [1, 1] : tensor<?x?xf32> to tensor<1x?xf32>
    %row = tensor.empty(%N) : tensor<1x?xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%row : tensor<1x?xf32>) -> tensor<1x?xf32>
    %c = linalg.matmul ins(%a, %B : tensor<1x?xf32>, tensor<?x?xf32>) outs(%zeros : tensor<1x?xf32>) -> tensor<1x?xf32>
    %after = tensor.insert_slice %c into %before[%i, 0] [1, %N] [1, 1] : tensor<1x?xf32> into tensor<?x?xf32>
    scf.yield %after : tensor<?x?xf32>
  }
  return %C : tensor<?x?xf32>
}
