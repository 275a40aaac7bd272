// LLVM does not use that this loop has at most 15 turns. It makes of it what it made of the plain loop:
// the question about overlaps, a vector loop, one for half vectors, one for single floats. With AVX-512
// 31 floats take 8.6 ns in place of 3.7. Where a mask becomes jumps, this tail has fewer of them.
func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %n = memref.dim %A, %c0 : memref<?xf32>
  %rest = arith.remui %n, %c16 : index
  %full = arith.subi %n, %rest : index
  %alphas = vector.broadcast %alpha : f32 to vector<16xf32>
  scf.for %i = %c0 to %full step %c16 {
    %x = vector.transfer_read %A[%i], %zero {in_bounds = [true]} : memref<?xf32>, vector<16xf32>
    %y = vector.transfer_read %B[%i], %zero {in_bounds = [true]} : memref<?xf32>, vector<16xf32>
    %p = arith.mulf %alphas, %x : vector<16xf32>
    %s = arith.addf %p, %y : vector<16xf32>
    vector.transfer_write %s, %C[%i] {in_bounds = [true]} : vector<16xf32>, memref<?xf32>
  }
  scf.for %i = %full to %n step %c1 {
    %x = memref.load %A[%i] : memref<?xf32>
    %y = memref.load %B[%i] : memref<?xf32>
    %p = arith.mulf %alpha, %x : f32
    %s = arith.addf %p, %y : f32
    memref.store %s, %C[%i] : memref<?xf32>
  }
  return
}
