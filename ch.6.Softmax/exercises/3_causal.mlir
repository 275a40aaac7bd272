// Exercise 3: rows that see only what came before.
//
// In a language model row i holds the scores of token i with all tokens, and may use those of tokens 0 to i only. Make this
// function, scalar_softmax, do that: y[i, j] is softmax over the first i + 1 elements of the row (or all n, where the row
// has no more), and 0 behind them. What it must not use it must not even read: there may be NaN.
// (The other way is to write -inf there first. When is it better?)
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
