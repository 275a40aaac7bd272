// What the types cannot say. (Without the verifier, this passes: step 4.)
// RUN: nn4-opt %s
// RUN: nn5-opt --verify-diagnostics %s

func.func @f(%x: tensor<4x8xf32>, %y: tensor<7x3xf32>) {
  // expected-error @below {{'nn.matmul' op expected as many rows in rhs as columns in lhs, 8, got 7}}
  %0 = nn.matmul %x, %y : tensor<4x8xf32>, tensor<7x3xf32>
  return
}
