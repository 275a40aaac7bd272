// Exercise 1: a copy that need not be.
//
// C = 2 P + max(P, 0), where P = A B. Written as below it takes a second buffer of C's size and a copy
// into it. Find out which operand is not bufferized in place, and why:
//
//   mlir-opt exercises/1_conflict.mlir --eliminate-empty-tensors \
//     --one-shot-bufferize="bufferize-function-boundaries test-analysis-only print-conflicts"
//
// Then write it so that nothing is allocated and nothing is copied. No operation may compute a product of
// matrices twice.
//
//   python3 exercises/check.py 1
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

  // R = max(P, 0), element by element
  %R = linalg.generic {indexing_maps = [#same], iterator_types = ["parallel", "parallel"]}
      outs(%P : tensor<?x?xf32>) {
  ^bb0(%p: f32):
    %r = arith.maximumf %p, %zero : f32
    linalg.yield %r : f32
  } -> tensor<?x?xf32>

  // S = 2 P + R
  %S = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel", "parallel"]}
      ins(%P : tensor<?x?xf32>) outs(%R : tensor<?x?xf32>) {
  ^bb0(%p: f32, %r: f32):
    %d = arith.mulf %p, %two : f32
    %s = arith.addf %d, %r : f32
    linalg.yield %s : f32
  } -> tensor<?x?xf32>

  bufferization.materialize_in_destination %S in restrict writable %C : (tensor<?x?xf32>, memref<?x?xf32>) -> ()
  return
}
