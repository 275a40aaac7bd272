// An argument that is returned: the caller would own it twice, so it gets a copy.
// RUN: mlir-opt %s --buffer-deallocation-pipeline | FileCheck %s

// CHECK-LABEL: func.func @same
// CHECK-NEXT:    %[[COPY:.*]] = bufferization.clone %arg0
// CHECK-NEXT:    return %[[COPY]]
// [same]
func.func @same(%m: memref<4xf32>) -> memref<4xf32> {
  return %m : memref<4xf32>
}
// [/same]
