// One operation reads p once and uses it twice: nothing needs P after S has been written.
#same = affine_map<(i, j) -> (i, j)>
func.func @gemm(%A: tensor<?x?xf32>, %B: tensor<?x?xf32>, %C: memref<?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %two = arith.constant 2.0 : f32
  %M = tensor.dim %A, %c0 : tensor<?x?xf32>
  %N = tensor.dim %B, %c1 : tensor<?x?xf32>
  %empty = tensor.empty(%M, %N) : tensor<?x?xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
  %P = linalg.matmul ins(%A, %B : tensor<?x?xf32>, tensor<?x?xf32>) outs(%zeros : tensor<?x?xf32>) -> tensor<?x?xf32>
  %S = linalg.generic {indexing_maps = [#same], iterator_types = ["parallel", "parallel"]}
      outs(%P : tensor<?x?xf32>) {
  ^bb0(%p: f32):
    %r = arith.maximumf %p, %zero : f32
    %d = arith.mulf %p, %two : f32
    %s = arith.addf %d, %r : f32
    linalg.yield %s : f32
  } -> tensor<?x?xf32>
  bufferization.materialize_in_destination %S in restrict writable %C : (tensor<?x?xf32>, memref<?x?xf32>) -> ()
  return
}
