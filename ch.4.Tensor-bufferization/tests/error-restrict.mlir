// Memory of which nobody says that it has no other name.
// RUN: not mlir-opt %s --one-shot-bufferize 2>&1 | FileCheck %s
// CHECK: error: 'bufferization.to_tensor' op to_tensor ops without `restrict` are not supported by One-Shot Analysis
func.func @no_restrict(%m: memref<4xf32>, %i: index) -> f32 {
  %t = bufferization.to_tensor %m : memref<4xf32> to tensor<4xf32>
  %f = tensor.extract %t[%i] : tensor<4xf32>
  return %f : f32
}
