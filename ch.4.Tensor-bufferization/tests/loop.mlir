// A loop whose turns pass a tensor on: it must be the memory that came in, or allocations must be allowed.
// RUN: not mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" 2>&1 | FileCheck %s --check-prefix=ERROR
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries allow-return-allocs-from-loops" | FileCheck %s

// ERROR: error: Yield operand #0 is not equivalent to the corresponding iter bbArg

// CHECK-LABEL: func.func @fresh_each_turn
// CHECK:         scf.for
// CHECK:           memref.alloc
// CHECK:           scf.yield
// [fresh]
func.func @fresh_each_turn(%t: tensor<4xf32>, %n: index, %f: f32) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%before = %t) -> tensor<4xf32> {
    %empty = tensor.empty() : tensor<4xf32>
    %after = linalg.fill ins(%f : f32) outs(%empty : tensor<4xf32>) -> tensor<4xf32>
    scf.yield %after : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
// [/fresh]
