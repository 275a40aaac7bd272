// No pattern takes it, and the pass says so.
// RUN: nn9-opt --nn-to-linalg --verify-diagnostics %s

func.func @f(%x: tensor<?x8xf32>, %w: tensor<8x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{failed to legalize operation 'nn.matmul' that was explicitly marked illegal}}
  %0 = nn.matmul %x, %w : tensor<?x8xf32>, tensor<8x16xf32>
  return %0 : tensor<?x16xf32>
}
