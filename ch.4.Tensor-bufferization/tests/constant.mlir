// A constant lies in memory that may not be written: writing to it takes a copy.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --canonicalize | FileCheck %s

// CHECK:       memref.global "private" constant @[[GLOBAL:.*]] : memref<4xf32>
// CHECK-LABEL: func.func @constant
// CHECK:         %[[C:.*]] = memref.get_global @[[GLOBAL]]
// CHECK:         %[[OWN:.*]] = memref.alloc
// CHECK:         memref.copy %[[C]], %[[OWN]]
// CHECK:         memref.store %arg0, %[[OWN]]
// [constant]
func.func @constant(%f: f32, %i: index) -> tensor<4xf32> {
  %t = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  return %u : tensor<4xf32>
}
// [/constant]
