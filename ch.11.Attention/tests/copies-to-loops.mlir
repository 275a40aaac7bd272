// --ch11-copies-to-loops: a copy with strides becomes linalg.copy, a dense one stays (LLVM has memcpy for it).
// RUN: ch11-opt --ch11-copies-to-loops %s | FileCheck %s

// CHECK-LABEL: func.func @strided
// CHECK-NOT:     memref.copy
// CHECK:         linalg.copy
func.func @strided(%a: memref<4x8xf32, strided<[16, 1], offset: 8>>, %b: memref<4x8xf32>) {
  memref.copy %a, %b : memref<4x8xf32, strided<[16, 1], offset: 8>> to memref<4x8xf32>
  return
}

// CHECK-LABEL: func.func @dense
// CHECK-NOT:     linalg.copy
// CHECK:         memref.copy
func.func @dense(%a: memref<4x8xf32>, %b: memref<4x8xf32>) {
  memref.copy %a, %b : memref<4x8xf32> to memref<4x8xf32>
  return
}
