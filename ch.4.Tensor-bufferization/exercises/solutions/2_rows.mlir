// The slice that is written is the slice that is inserted again: both are the same memory.
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
    %row = tensor.extract_slice %before[%i, 0] [1, %N] [1, 1] : tensor<?x?xf32> to tensor<1x?xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%row : tensor<1x?xf32>) -> tensor<1x?xf32>
    %c = linalg.matmul ins(%a, %B : tensor<1x?xf32>, tensor<?x?xf32>) outs(%zeros : tensor<1x?xf32>) -> tensor<1x?xf32>
    %after = tensor.insert_slice %c into %before[%i, 0] [1, %N] [1, 1] : tensor<1x?xf32> into tensor<?x?xf32>
    scf.yield %after : tensor<?x?xf32>
  }
  return %C : tensor<?x?xf32>
}
