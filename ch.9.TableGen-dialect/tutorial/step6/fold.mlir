// Values that are there already, and constants.
// RUN: nn6-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: @twice
// CHECK-NEXT:    %[[ONCE:.+]] = nn.relu %arg0 : tensor<4x8xf32>
// CHECK-NEXT:    return %[[ONCE]]
func.func @twice(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.transpose %x : tensor<4x8xf32>
  %1 = nn.transpose %0 : tensor<8x4xf32>
  %2 = nn.relu %1 : tensor<4x8xf32>
  %3 = nn.relu %2 : tensor<4x8xf32>
  return %3 : tensor<4x8xf32>
}

// CHECK-LABEL: @constant
// CHECK-NEXT:    %[[ONES:.+]] = arith.constant dense<1.000000e+00> : tensor<8x4xf32>
// CHECK-NEXT:    return %[[ONES]]
func.func @constant() -> tensor<8x4xf32> {
  %ones = arith.constant dense<1.0> : tensor<4x8xf32>
  %0 = nn.transpose %ones : tensor<4x8xf32>
  return %0 : tensor<8x4xf32>
}

// One transpose is one transpose.
// CHECK-LABEL: @once
// CHECK-NEXT:    nn.transpose
func.func @once(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %0 = nn.transpose %x : tensor<4x8xf32>
  return %0 : tensor<8x4xf32>
}
