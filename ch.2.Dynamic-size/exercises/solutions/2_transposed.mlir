!matrix = memref<?x?xf32, strided<[?, ?], offset: ?>>

func.func @gemm(%A: !matrix, %B: !matrix, %C: !matrix) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%C : !matrix)
  %a = memref.transpose %A (i, j) -> (j, i) : !matrix to !matrix
  %b = memref.transpose %B (i, j) -> (j, i) : !matrix to !matrix
  %c = memref.transpose %C (i, j) -> (j, i) : !matrix to !matrix
  linalg.matmul ins(%b, %a : !matrix, !matrix) outs(%c : !matrix)
  return
}
