// Exercise 2: the same product with the loops in another order, by strides only.
//
// The transposed of a product is the product of the transposed, the other way round:
// C^T = B^T A^T. memref.transpose makes a view (it exchanges sizes and strides of a descriptor and
// moves nothing):
//
//   %x = memref.transpose %X (i, j) -> (j, i) : !matrix to !matrix
//
// Make views of all three arguments and let one linalg.matmul on them write C. Look at the loops
// then (`ch2.stages(your_ir)`): which one is the outermost now, and what is the inner one's stride
// in each argument?
//
//   python3 exercises/check.py 2
!matrix = memref<?x?xf32, strided<[?, ?], offset: ?>>

func.func @gemm(%A: !matrix, %B: !matrix, %C: !matrix) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%C : !matrix)
  // TODO
  return
}
