// log(exp(x - max) / sum) = x - max - log(sum)
func.func @softmax(%X: memref<?x?xf32, strided<[?, ?], offset: ?>>, %Y: memref<?x?xf32>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %none = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
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
      memref.store %d, %Y[%i, %j] : memref<?x?xf32>
      %e = math.exp %d : f32
      %next = arith.addf %sum, %e : f32
      scf.yield %next : f32
    }
    %log = math.log %s : f32
    scf.for %j = %zero to %n step %one {
      %d = memref.load %Y[%i, %j] : memref<?x?xf32>
      %y = arith.subf %d, %log : f32
      memref.store %y, %Y[%i, %j] : memref<?x?xf32>
    }
  }
  return
}
