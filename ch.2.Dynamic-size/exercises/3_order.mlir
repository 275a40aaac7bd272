// Exercise 3: vectors, though nothing is known.
//
// This is the product as a linalg.generic on matrices of any size. Its loops are i, j, k from the
// outside to the inside, like those of linalg.matmul, and LLVM finds nothing in the inner one to do
// side by side: each step adds to the same element of C, and additions keep their order.
//
// Reorder the loops so that the inner one goes along a row of B and C. Every element of C must
// still be the sum over k in the same order, so the result stays the same to the last bit.
//
//   python3 exercises/check.py 3
!matrix = memref<?x?xf32, strided<[?, ?], offset: ?>>

func.func @gemm(%A: !matrix, %B: !matrix, %C: !matrix) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%C : !matrix)
  linalg.generic {
    indexing_maps = [
      affine_map<(i, j, k) -> (i, k)>,
      affine_map<(i, j, k) -> (k, j)>,
      affine_map<(i, j, k) -> (i, j)>
    ],
    iterator_types = ["parallel", "parallel", "reduction"]
  } ins(%A, %B : !matrix, !matrix) outs(%C : !matrix) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  }
  return
}
