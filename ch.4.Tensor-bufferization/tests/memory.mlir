// Where memory comes in: to_tensor, and what its two words promise.
// RUN: mlir-opt %s --one-shot-bufferize --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @read_only
// CHECK-NEXT:    %[[OWN:.*]] = memref.alloc
// CHECK-NEXT:    memref.copy %arg0, %[[OWN]]
// CHECK-NEXT:    memref.store %arg1, %[[OWN]]
// [read-only]
func.func @read_only(%m: memref<4xf32>, %f: f32, %i: index, %j: index) -> f32 {
  %t = bufferization.to_tensor %m restrict : memref<4xf32> to tensor<4xf32>
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  %r = tensor.extract %u[%j] : tensor<4xf32>
  return %r : f32
}
// [/read-only]

// CHECK-LABEL: func.func @writable
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg2]
// CHECK-NEXT:    memref.load %arg0[%arg3]
// [writable]
func.func @writable(%m: memref<4xf32>, %f: f32, %i: index, %j: index) -> f32 {
  %t = bufferization.to_tensor %m restrict writable : memref<4xf32> to tensor<4xf32>
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  %r = tensor.extract %u[%j] : tensor<4xf32>
  return %r : f32
}
// [/writable]

// Two names of one memory, both promised to be the only one: the old value is gone when it is read.
// CHECK-LABEL: func.func @broken_promise
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg2]
// CHECK-NEXT:    memref.load %arg0[%arg2]
// [broken-promise]
func.func @broken_promise(%m: memref<4xf32>, %f: f32, %i: index, %j: index) -> (f32, f32) {
  %t = bufferization.to_tensor %m restrict writable : memref<4xf32> to tensor<4xf32>
  %same = bufferization.to_tensor %m restrict : memref<4xf32> to tensor<4xf32>
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  %old = tensor.extract %same[%i] : tensor<4xf32>
  %r = tensor.extract %u[%j] : tensor<4xf32>
  return %old, %r : f32, f32
}
// [/broken-promise]
