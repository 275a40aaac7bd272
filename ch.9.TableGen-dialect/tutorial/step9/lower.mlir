// Each op, and what it becomes.
// RUN: nn9-opt --nn-to-linalg %s | FileCheck %s

// CHECK-LABEL: @layer
// CHECK-NOT:     nn.
// CHECK:         linalg.transpose ins(%arg1 : tensor<16x8xf32>) outs({{.+}} : tensor<8x16xf32>) permutation = [1, 0]
// CHECK:         linalg.fill
// CHECK:         linalg.matmul
// CHECK:         linalg.generic
// CHECK:           arith.maximumf
// CHECK-NOT:     nn.
func.func @layer(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>) -> tensor<4x16xf32> {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = nn.relu %1 : tensor<4x16xf32>
  return %2 : tensor<4x16xf32>
}
