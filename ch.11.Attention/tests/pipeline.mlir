// Everything: only the llvm dialect is left, inputs are not written, every buffer is freed.
// RUN: ch11-opt --ch11-pipeline %s | FileCheck %s
// RUN: ch11-opt --ch11-decompose --ch11-to-linalg --eliminate-empty-tensors \
// RUN:   --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
// RUN:   --buffer-deallocation-pipeline %s | FileCheck %s --check-prefix=BUFFERS

// CHECK:       llvm.func @free
// CHECK:       llvm.func @aligned_alloc
// CHECK-LABEL: llvm.func @forward
// CHECK:         llvm.call @aligned_alloc
// CHECK:         llvm.call @kernel_0
// CHECK:         llvm.call @free
// CHECK:       llvm.func @_mlir_ciface_forward
// CHECK-NOT:   transformer.
// CHECK-NOT:   unrealized_conversion_cast

// The sum goes straight to the output, and the four buffers of the softmax (maximum, exp, sum, quotient) are freed.
// BUFFERS-LABEL: func.func @forward
// BUFFERS-SAME:      %[[X:.*]]: memref<4x8xf32>, %[[OUT:.*]]: memref<4x8xf32>)
// BUFFERS-NOT:     outs(%[[X]] :
// BUFFERS:         linalg.generic {{.*}} outs(%[[OUT]] : memref<4x8xf32>)
// BUFFERS-NOT:     memref.copy
// BUFFERS-COUNT-4: memref.dealloc
// BUFFERS-NOT:     memref.dealloc
// BUFFERS:         return
func.func @forward(%x: tensor<4x8xf32> {bufferization.writable = false}, %out: memref<4x8xf32>)
    attributes {llvm.emit_c_interface} {
  %0 = transformer.softmax %x : tensor<4x8xf32>
  %1 = transformer.add %0, %x : tensor<4x8xf32>, tensor<4x8xf32>
  bufferization.materialize_in_destination %1 in restrict writable %out : (tensor<4x8xf32>, memref<4x8xf32>) -> ()
  return
}
