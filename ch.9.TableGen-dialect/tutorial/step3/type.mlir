// RUN: nn3-opt --verify-diagnostics %s

func.func @f(%x: tensor<4xf64>) {
  // expected-error @below {{'nn.relu' op operand #0 must be 1D/2D tensor of 32-bit float values, but got 'tensor<4xf64>'}}
  %0 = nn.relu %x : tensor<4xf64> -> tensor<4xf64>
  return
}
