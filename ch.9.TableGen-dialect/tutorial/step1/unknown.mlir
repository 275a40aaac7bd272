// The dialect is known, and no op of it.
// RUN: nn1-opt --show-dialects | FileCheck %s
// RUN: nn1-opt --verify-diagnostics %s
// CHECK: nn

func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{unregistered operation 'nn.relu' found in dialect ('nn') that does not allow unknown operations}}
  %0 = "nn.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
