// RUN: nn8-opt --nn-cost=at-least=100 --verify-diagnostics %s

func.func @f(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>) {
  // expected-remark @below {{1024 operations}}
  %0 = nn.matmul %x, %w : tensor<4x8xf32>, tensor<8x16xf32>
  %1 = nn.relu %0 : tensor<4x16xf32>
  return
}
