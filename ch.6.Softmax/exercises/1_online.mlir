// Exercise 1: one pass less.
//
// This is scalar_softmax: it reads each row three times, for the maximum, for the sum, for the quotients. One loop can
// carry two values, the maximum so far and the sum so far:
//
//   %m, %s = scf.for ... iter_args(%max = ..., %sum = ...) -> (f32, f32)
//
// Where the maximum grows, the old sum was of exp(x - old) and must become one of exp(x - new): multiply it by what?
// Write the first two loops as one that stores nothing, and let the second one store exp(x - max) / sum.
// Then think about a row that begins with -inf.
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
