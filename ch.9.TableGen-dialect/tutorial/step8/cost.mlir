// A pass that knows no op by name.
// RUN: nn8-opt --nn-cost --verify-diagnostics %s

func.func @f(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %y: tensor<?x8xf32>) {
  // expected-remark @below {{1024 operations}}
  %0 = nn.matmul %x, %w : tensor<4x8xf32>, tensor<8x16xf32>
  // expected-remark @below {{64 operations}}
  %1 = nn.relu %0 : tensor<4x16xf32>
  %2 = nn.transpose %1 : tensor<4x16xf32>
  %3 = nn.matmul %y, %w : tensor<?x8xf32>, tensor<8x16xf32>
  %4 = nn.relu %3 : tensor<?x16xf32>
  return
}
