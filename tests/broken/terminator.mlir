// A block ends without saying where to go on.
// run: mlir-opt %s
// says: error: block with no terminator

func.func @store(%m: memref<8xf32>, %x: f32, %i: index) {
  memref.store %x, %m[%i] : memref<8xf32>
  // insert: return
}
