// Right, and short. But every turn now makes masks, and three of them: each transfer asks for the end
// of its own array, and nobody said that the three are of one length. In the first-level cache that is
// 120 ns for 1,023 floats in place of 47; from the second level on it is hidden behind the memory.
func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = memref.dim %A, %c0 : memref<?xf32>
  %alphas = vector.broadcast %alpha : f32 to vector<16xf32>
  scf.for %i = %c0 to %n step %c16 {
    %x = vector.transfer_read %A[%i], %zero : memref<?xf32>, vector<16xf32>
    %y = vector.transfer_read %B[%i], %zero : memref<?xf32>, vector<16xf32>
    %p = arith.mulf %alphas, %x : vector<16xf32>
    %s = arith.addf %p, %y : vector<16xf32>
    vector.transfer_write %s, %C[%i] : vector<16xf32>, memref<?xf32>
  }
  return
}
