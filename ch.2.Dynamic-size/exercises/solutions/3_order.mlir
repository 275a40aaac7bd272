!matrix = memref<?x?xf32, strided<[?, ?], offset: ?>>

func.func @gemm(%A: !matrix, %B: !matrix, %C: !matrix) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%C : !matrix)
  linalg.generic {
    indexing_maps = [
      affine_map<(i, k, j) -> (i, k)>,
      affine_map<(i, k, j) -> (k, j)>,
      affine_map<(i, k, j) -> (i, j)>
    ],
    iterator_types = ["parallel", "reduction", "parallel"]
  } ins(%A, %B : !matrix, !matrix) outs(%C : !matrix) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}
