// A destination whose old contents are still wanted.
// RUN: not mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" 2>&1 | FileCheck %s
// CHECK: error: 'bufferization.materialize_in_destination' op not bufferizable under the given constraints: cannot avoid RaW conflict
func.func @wanted(%t: tensor<4xf32>, %source: tensor<4xf32>, %i: index) -> (tensor<4xf32>, f32) {
  %u = bufferization.materialize_in_destination %source in %t : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %old = tensor.extract %t[%i] : tensor<4xf32>
  return %u, %old : tensor<4xf32>, f32
}
