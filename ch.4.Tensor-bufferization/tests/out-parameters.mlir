// A result that becomes an argument: allocated by the caller, copied into by the callee, or not even that.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --buffer-results-to-out-params --canonicalize | FileCheck %s --check-prefixes=CHECK,COPY
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --buffer-results-to-out-params=hoist-static-allocs --canonicalize | FileCheck %s --check-prefixes=CHECK,HOIST

// CHECK-LABEL: func.func private @filled
// CHECK-SAME:    (%arg0: f32, %arg1: memref<4xf32>)
// COPY:          %[[OWN:.*]] = memref.alloc
// COPY-NEXT:     linalg.fill ins(%arg0 : f32) outs(%[[OWN]]
// COPY-NEXT:     memref.copy %[[OWN]], %arg1
// HOIST-NEXT:    linalg.fill ins(%arg0 : f32) outs(%arg1
// HOIST-NEXT:    return
// CHECK-LABEL: func.func @use
// CHECK:         %[[OURS:.*]] = memref.alloc() : memref<4xf32>
// CHECK-NEXT:    call @filled(%arg0, %[[OURS]])
// [filled]
func.func private @filled(%f: f32) -> tensor<4xf32> {
  %empty = tensor.empty() : tensor<4xf32>
  %t = linalg.fill ins(%f : f32) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
  return %t : tensor<4xf32>
}
func.func @use(%f: f32, %i: index) -> f32 {
  %t = call @filled(%f) : (f32) -> tensor<4xf32>
  %r = tensor.extract %t[%i] : tensor<4xf32>
  return %r : f32
}
// [/filled]
