// A function that still takes a tensor when everything else is memory.
// RUN: not mlir-opt %s --one-shot-bufferize --convert-bufferization-to-memref 2>&1 | FileCheck %s
// RUN: mlir-opt %s --one-shot-bufferize=bufferize-function-boundaries --convert-bufferization-to-memref | FileCheck %s --check-prefix=FIXED
// CHECK: error: failed to legalize operation 'bufferization.to_buffer' that was explicitly marked illegal
// FIXED: memref.load %arg0[%arg1]
func.func @boundary(%t: tensor<4xf32>, %i: index) -> f32 {
  %f = tensor.extract %t[%i] : tensor<4xf32>
  return %f : f32
}
