// Results' types follow from operands; equal ops become one, unused ones go.
// RUN: nn4-opt --cse %s | FileCheck %s

// CHECK-LABEL: @f
// CHECK-NEXT:    %[[T:.+]] = nn.transpose %arg1 : tensor<16x8xf32>
// CHECK-NEXT:    %[[P:.+]] = nn.matmul %arg0, %[[T]] : tensor<4x8xf32>, tensor<8x16xf32>
// CHECK-NEXT:    return %[[P]], %[[P]] : tensor<4x16xf32>, tensor<4x16xf32>
func.func @f(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>) -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %3 = nn.relu %2 : tensor<4x16xf32>
  return %1, %2 : tensor<4x16xf32>, tensor<4x16xf32>
}
