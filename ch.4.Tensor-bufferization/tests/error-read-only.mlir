// A destination that may not be written.
// RUN: not mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" 2>&1 | FileCheck %s
// CHECK: error: 'bufferization.materialize_in_destination' op not bufferizable under the given constraints: would write to read-only buffer
func.func @read_only(%t: tensor<4xf32> {bufferization.writable = false}, %source: tensor<4xf32>) -> tensor<4xf32> {
  %u = bufferization.materialize_in_destination %source in %t : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %u : tensor<4xf32>
}
