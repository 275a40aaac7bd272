// Functions: who copies for whom, and what becomes of a result that is an argument.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --drop-equivalent-buffer-results --canonicalize | FileCheck %s

// CHECK-LABEL: func.func private @set
// CHECK-SAME:    (%arg0: memref<4xf32, strided<[?], offset: ?>>, %arg1: f32, %arg2: index) {
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg2]
// CHECK-NEXT:    return{{$}}
// [set]
func.func private @set(%t: tensor<4xf32>, %f: f32, %i: index) -> tensor<4xf32> {
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  return %u : tensor<4xf32>
}
// [/set]

// CHECK-LABEL: func.func @caller
// CHECK:         %[[OWN:.*]] = memref.alloc
// CHECK:         memref.copy %arg0, %[[OWN]]
// CHECK:         %[[CAST:.*]] = memref.cast %[[OWN]]
// CHECK:         call @set(%[[CAST]], %arg1, %arg2)
// CHECK:         memref.load %arg0[%arg2]
// [caller]
func.func @caller(%t: tensor<4xf32>, %f: f32, %i: index) -> (tensor<4xf32>, f32) {
  %u = call @set(%t, %f, %i) : (tensor<4xf32>, f32, index) -> tensor<4xf32>
  %old = tensor.extract %t[%i] : tensor<4xf32>
  return %u, %old : tensor<4xf32>, f32
}
// [/caller]

// CHECK-LABEL: func.func @may_not_write
// CHECK:         %[[OWN:.*]] = memref.alloc
// CHECK:         memref.copy %arg0, %[[OWN]]
// CHECK:         memref.store %arg1, %[[OWN]]
// [may-not-write]
func.func @may_not_write(%t: tensor<4xf32> {bufferization.writable = false}, %f: f32, %i: index) -> tensor<4xf32> {
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  return %u : tensor<4xf32>
}
// [/may-not-write]
