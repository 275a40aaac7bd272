// q and k of every layer are turned by the same angles: after CSE one table of
// cosines and one of sines are left.
// RUN: ch13-opt --ch13-lower --cse %s | FileCheck %s

// CHECK-LABEL: func.func @two_ropes
// CHECK-COUNT-1: math.cos
// CHECK-NOT:     math.cos
func.func @two_ropes(%q: tensor<5x12xf32>, %k: tensor<5x12xf32>) -> (tensor<5x12xf32>, tensor<5x12xf32>) {
  %0 = transformer.rope %q heads 2 base 1.0e4 : tensor<5x12xf32>
  %1 = transformer.rope %k heads 2 base 1.0e4 : tensor<5x12xf32>
  return %0, %1 : tensor<5x12xf32>, tensor<5x12xf32>
}
