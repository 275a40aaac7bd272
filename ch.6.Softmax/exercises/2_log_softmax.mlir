// Exercise 2: the logarithm of softmax, which a loss wants.
//
// This is scalar_softmax. log(softmax(x)) of a score far below the maximum is log(0) = -inf, though the right value, about
// x - max, is an ordinary number. Make this function write the logarithm without ever taking the logarithm of a quotient.
// ch6-approximate-math leaves math.log as it is. What becomes of it with each lowering? (ch6.stages(lowering, ir=...))
func.func @softmax(%X: memref<?x?xf32, strided<[?, ?], offset: ?>>, %Y: memref<?x?xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %none = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32  // -inf
  %rows = memref.dim %X, %zero : memref<?x?xf32, strided<[?, ?], offset: ?>>
  %n = memref.dim %X, %one : memref<?x?xf32, strided<[?, ?], offset: ?>>
  scf.for %i = %zero to %rows step %one {
    %m = scf.for %j = %zero to %n step %one iter_args(%max = %lowest) -> (f32) {
      %x = memref.load %X[%i, %j] : memref<?x?xf32, strided<[?, ?], offset: ?>>
      %next = arith.maximumf %max, %x : f32
      scf.yield %next : f32
    }
    %s = scf.for %j = %zero to %n step %one iter_args(%sum = %none) -> (f32) {
      %x = memref.load %X[%i, %j] : memref<?x?xf32, strided<[?, ?], offset: ?>>
      %d = arith.subf %x, %m : f32
      %e = math.exp %d : f32
      memref.store %e, %Y[%i, %j] : memref<?x?xf32>
      %next = arith.addf %sum, %e : f32
      scf.yield %next : f32
    }
    scf.for %j = %zero to %n step %one {
      %e = memref.load %Y[%i, %j] : memref<?x?xf32>
      %y = arith.divf %e, %s : f32
      memref.store %y, %Y[%i, %j] : memref<?x?xf32>
    }
  }
  return
}
