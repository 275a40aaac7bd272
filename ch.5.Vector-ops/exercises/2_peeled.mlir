// Exercise 2: a peeled tail in place of the masked one.
//
// A masked load is one instruction with AVX-512, two with AVX2, and a chain of tests and jumps on
// machines that have none. The old way does everywhere: whole vectors first, then what is left, one
// element after the other. Replace the masked part. Before you look at your assembly: what
// will LLVM do to your loop of at most 15 turns?
//
//   python3 exercises/check.py 2
func.func @saxpy(%alpha: f32, %A: memref<?xf32>, %B: memref<?xf32>, %C: memref<?xf32>) {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
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
  %mask = vector.create_mask %rest : vector<16xi1>
  %x = vector.transfer_read %A[%full], %zero, %mask {in_bounds = [true]} : memref<?xf32>, vector<16xf32>
  %y = vector.transfer_read %B[%full], %zero, %mask {in_bounds = [true]} : memref<?xf32>, vector<16xf32>
  %p = arith.mulf %alphas, %x : vector<16xf32>
  %s = arith.addf %p, %y : vector<16xf32>
  vector.transfer_write %s, %C[%full], %mask {in_bounds = [true]} : vector<16xf32>, memref<?xf32>
  return
}
