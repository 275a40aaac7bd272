// An operation that does not say how it becomes one on memory.
// RUN: not mlir-opt %s --allow-unregistered-dialect --one-shot-bufferize="bufferize-function-boundaries" 2>&1 | FileCheck %s
// RUN: mlir-opt %s --allow-unregistered-dialect --one-shot-bufferize="bufferize-function-boundaries allow-unknown-ops" | FileCheck %s --check-prefix=ALLOWED
// CHECK: error: op was not bufferized
// ALLOWED:      %[[T:.*]] = bufferization.to_tensor %arg0
// ALLOWED-NEXT: %[[U:.*]] = "my.smooth"(%[[T]])
// ALLOWED-NEXT: bufferization.to_buffer %[[U]]
func.func @unknown(%t: tensor<4xf32>) -> tensor<4xf32> {
  %u = "my.smooth"(%t) : (tensor<4xf32>) -> tensor<4xf32>
  return %u : tensor<4xf32>
}
