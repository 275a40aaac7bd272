// A value of a loop's body is used after the loop, where its name means nothing.
// run: mlir-opt %s
// says: error: use of undeclared SSA value name

func.func @sum(%m: memref<?xf32>, %n: index) -> f32 {
  %first = arith.constant 0 : index
  %step = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.for %i = %first to %n step %step iter_args(%so_far = %zero) -> f32 {
    %x = memref.load %m[%i] : memref<?xf32>
    %next = arith.addf %so_far, %x : f32
    scf.yield %next : f32
  }
  return %next : f32
  // instead: return %sum : f32
}
