// A loop's result is used inside the loop, where it does not exist yet.
// run: mlir-opt %s
// says: error: operand #0 does not dominate this use

func.func @sum(%m: memref<?xf32>, %n: index) -> f32 {
  %first = arith.constant 0 : index
  %step = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.for %i = %first to %n step %step iter_args(%so_far = %zero) -> f32 {
    %x = memref.load %m[%i] : memref<?xf32>
    %next = arith.addf %sum, %x : f32
    // instead: %next = arith.addf %so_far, %x : f32
    scf.yield %next : f32
  }
  return %sum : f32
}
