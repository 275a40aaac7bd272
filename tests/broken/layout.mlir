// A strided memref where one with elements in a row is expected: the layout is part of the type.
// run: mlir-opt %s
// says: error: 'func.call' op operand type mismatch: expected operand type 'memref<8xf32>', but provided 'memref<8xf32, strided<[16], offset: 3>>'

func.func private @sum(%m: memref<8xf32>) -> f32
// instead: func.func private @sum(%m: memref<8xf32, strided<[16], offset: 3>>) -> f32
func.func @sum_of_column(%m: memref<8x16xf32>) -> f32 {
  %column = memref.subview %m[0, 3] [8, 1] [1, 1]
      : memref<8x16xf32> to memref<8xf32, strided<[16], offset: 3>>
  %sum = call @sum(%column) : (memref<8xf32, strided<[16], offset: 3>>) -> f32
  return %sum : f32
}
