// In the generic form a result's type can be written, and wrong.
// RUN: nn4-opt --verify-diagnostics %s

func.func @f(%x: tensor<4x8xf32>) {
  // expected-error @below {{'nn.transpose' op inferred type(s) 'tensor<8x4xf32>' are incompatible with return type(s) of operation 'tensor<4x8xf32>'}}
  // expected-error @below {{'nn.transpose' op failed to infer returned types}}
  %0 = "nn.transpose"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}
