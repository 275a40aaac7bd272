// A softmax is never below 0, so a relu of it changes nothing. Teach ReluOp::fold() in src/canonicalize.cpp to say so;
// NaN stays NaN in both, so nothing is lost there either.
// Check: python3 exercises/check.py 1     (builds ch9-opt, then runs it on this file)
// RUN: ch9-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: @goes
// CHECK:         %[[P:.+]] = nn.softmax %arg0
// CHECK-NEXT:    return %[[P]]
func.func @goes(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.softmax %x : tensor<4x8xf32>
  %1 = nn.relu %0 : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// CHECK-LABEL: @stays
// CHECK:         nn.relu
func.func @stays(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.softmax %x : tensor<4x8xf32>
  %1 = nn.add %0, %x : tensor<4x8xf32>, tensor<4x8xf32>
  %2 = nn.relu %1 : tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}
