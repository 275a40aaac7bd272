// Exercise 1: the same product as a linalg.generic, without the name "matmul".
//
// A linalg.generic says three things: which loops there are and of what kind (iterator_types),
// which element of each operand one turn of the loops touches (indexing_maps), and what is done
// with these elements (the region). Fill in all three.
//
//   python3 exercises/check.py 1
func.func @gemm(%A: memref<8x32xf32>, %B: memref<32x16xf32>, %C: memref<8x16xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%C : memref<8x16xf32>)
  // TODO
  return
}
