// Transposes move up until they meet.
// RUN: nn7-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: @layer
// CHECK-NEXT:    %[[T:.+]] = nn.transpose %arg0 : tensor<4x8xf32>
// CHECK-NEXT:    %[[P:.+]] = nn.matmul %arg1, %[[T]] : tensor<16x8xf32>, tensor<8x4xf32>
// CHECK-NEXT:    %[[R:.+]] = nn.relu %[[P]] : tensor<16x4xf32>
// CHECK-NEXT:    return %[[R]]
func.func @layer(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>) -> tensor<16x4xf32> {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = nn.relu %1 : tensor<4x16xf32>
  %3 = nn.transpose %2 : tensor<4x16xf32>
  return %3 : tensor<16x4xf32>
}

// Nothing to win: one transpose would become two.
// CHECK-LABEL: @no_other_transpose
// CHECK-NEXT:    nn.matmul
// CHECK-NEXT:    nn.transpose
func.func @no_other_transpose(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>) -> tensor<16x4xf32> {
  %0 = nn.matmul %x, %w : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = nn.transpose %0 : tensor<4x16xf32>
  return %1 : tensor<16x4xf32>
}

// The product would be computed twice.
// CHECK-LABEL: @used_elsewhere
// CHECK-COUNT-1: nn.matmul
// CHECK-NOT:     nn.matmul
func.func @used_elsewhere(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>) -> (tensor<4x16xf32>, tensor<16x4xf32>) {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = nn.transpose %1 : tensor<4x16xf32>
  return %1, %2 : tensor<4x16xf32>, tensor<16x4xf32>
}

// relu would be computed twice.
// CHECK-LABEL: @relu_used_elsewhere
// CHECK-NEXT:    nn.relu %arg0
// CHECK-NEXT:    nn.transpose
func.func @relu_used_elsewhere(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<8x4xf32>) {
  %0 = nn.relu %x : tensor<4x8xf32>
  %1 = nn.transpose %0 : tensor<4x8xf32>
  return %0, %1 : tensor<4x8xf32>, tensor<8x4xf32>
}
