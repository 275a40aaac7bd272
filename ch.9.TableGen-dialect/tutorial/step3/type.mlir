// RUN: nn3-opt --verify-diagnostics %s

func.func @f(%n: i32) {
  // expected-error @below {{'nn.relu' op operand #0 must be 1D/2D tensor of 32-bit float values, but got 'i32'}}
  %0 = nn.relu %n : i32 -> tensor<4xf32>
  return
}
