// A value is used as a type that it does not have: memory is indexed by `index`, not by i64.
// run: mlir-opt %s
// says: error: use of value '%i' expects different type than prior uses: 'index' vs 'i64'

func.func @element(%m: memref<8xf32>, %i: i64) -> f32 {
// instead: func.func @element(%m: memref<8xf32>, %i: index) -> f32 {
  %x = memref.load %m[%i] : memref<8xf32>
  return %x : f32
}
