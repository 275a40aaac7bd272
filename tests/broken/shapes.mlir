// The verifier: shapes that do not fit together.
// run: mlir-opt %s
// says: error: 'linalg.matmul' op inferred input/output operand #1 has shape's dimension #0 to be 31, but found 32

!A = memref<8x31xf32>
// instead: !A = memref<8x32xf32>
!B = memref<32x16xf32>
!C = memref<8x16xf32>
func.func @gemm(%A: !A, %B: !B, %C: !C) {
  linalg.matmul ins(%A, %B : !A, !B) outs(%C : !C)
  return
}
