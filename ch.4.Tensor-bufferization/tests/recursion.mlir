// Functions that call each other in a circle are bufferized, but nothing is known about the callee: an argument
// counts as written, though here nobody writes, and so a value that is needed later is copied.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries test-analysis-only" | FileCheck %s

// CHECK-LABEL: func.func private @sum
// CHECK:         func.call @sum(%arg0, {{.*}}) {__inplace_operands_attr__ = ["false", "none"]}
// [sum]
func.func private @sum(%t: tensor<4xf32>, %i: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %end = arith.cmpi eq, %i, %c0 : index
  %r = scf.if %end -> f32 {
    %first = tensor.extract %t[%c0] : tensor<4xf32>
    scf.yield %first : f32
  } else {
    %j = arith.subi %i, %c1 : index
    %before = func.call @sum(%t, %j) : (tensor<4xf32>, index) -> f32
    %x = tensor.extract %t[%i] : tensor<4xf32>
    %s = arith.addf %before, %x : f32
    scf.yield %s : f32
  }
  return %r : f32
}
// [/sum]
