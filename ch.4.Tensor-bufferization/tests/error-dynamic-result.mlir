// A result that the caller is to allocate, and whose size only the callee knows.
// RUN: not mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --buffer-results-to-out-params 2>&1 | FileCheck %s
// CHECK: error: cannot create out param for dynamically shaped result
func.func private @make(%n: index, %f: f32) -> tensor<?xf32> {
  %empty = tensor.empty(%n) : tensor<?xf32>
  %t = linalg.fill ins(%f : f32) outs(%empty : tensor<?xf32>) -> tensor<?xf32>
  return %t : tensor<?xf32>
}
func.func @use(%n: index, %f: f32, %i: index) -> f32 {
  %t = call @make(%n, %f) : (index, f32) -> tensor<?xf32>
  %r = tensor.extract %t[%i] : tensor<?xf32>
  return %r : f32
}
