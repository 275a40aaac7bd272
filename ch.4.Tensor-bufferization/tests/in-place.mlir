// A chain of writes to a value that nobody reads any more: one buffer, no copy.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries test-analysis-only" | FileCheck %s --check-prefix=ANALYSIS
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" | FileCheck %s

// ANALYSIS:         func.func @twice(%arg0: tensor<4xf32> {bufferization.access = "read-write"}
// ANALYSIS-COUNT-2:   tensor.insert {{.*}} {__inplace_operands_attr__ = ["none", "true", "none"]}
// ANALYSIS:           return {__equivalent_func_args__ = [0]

// CHECK-LABEL: func.func @twice
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg2]
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg3]
// CHECK-NEXT:    return %arg0
// [twice]
func.func @twice(%t: tensor<4xf32>, %f: f32, %i: index, %j: index) -> tensor<4xf32> {
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  %v = tensor.insert %f into %u[%j] : tensor<4xf32>
  return %v : tensor<4xf32>
}
// [/twice]
