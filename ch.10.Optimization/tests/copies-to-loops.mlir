// A copy between strided buffers would call a function of a library; it becomes a linalg.copy, so: loops.
// RUN: ch10-opt --ch10-copies-to-loops %s | FileCheck %s

// CHECK-LABEL: @strided
// CHECK:         linalg.copy
// CHECK-NOT:     memref.copy
func.func @strided(%a: memref<4x8xf32, strided<[16, 1]>>, %b: memref<4x8xf32>) {
  memref.copy %a, %b : memref<4x8xf32, strided<[16, 1]>> to memref<4x8xf32>
  return
}
