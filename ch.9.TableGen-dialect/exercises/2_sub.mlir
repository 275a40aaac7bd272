// A new op: nn.sub, lhs - rhs, with the shapes and the format of nn.add. Add it to inc/ch9/NNOps.td and src/dialect.cpp; how
// many lines does the lowering need?
// Check: python3 exercises/check.py 2     (builds ch9-opt, then runs it on this file)
// RUN: ch9-opt --canonicalize --ch9-to-linalg %s | FileCheck %s

// CHECK-LABEL: @sub
// CHECK:         linalg.generic
// CHECK:           arith.subf
// CHECK-NOT:     nn.
func.func @sub(%x: tensor<4x8xf32>, %row: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = nn.sub %x, %row : tensor<4x8xf32>, tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// x - 0 is x to the last bit, for every x: fold it.
// CHECK-LABEL: @zero
// CHECK-NEXT:    return %arg0
func.func @zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = arith.constant dense<0.0> : tensor<4xf32>
  %0 = nn.sub %x, %zero : tensor<4xf32>, tensor<4xf32>
  return %0 : tensor<4xf32>
}
