// Folders and patterns, each with the case that it must leave alone.
// RUN: ch9-opt --canonicalize %s | FileCheck %s

// CHECK-LABEL: @relu_of_relu
// CHECK:         %[[ONCE:.+]] = nn.relu %arg0
// CHECK-NEXT:    return %[[ONCE]]
func.func @relu_of_relu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.relu %x : tensor<4x8xf32>
  %1 = nn.relu %0 : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// CHECK-LABEL: @relu_of_constant
// CHECK:         arith.constant dense<[0.000000e+00, 2.000000e+00, 0.000000e+00, 0x7FC00000]> : tensor<4xf32>
// CHECK-NOT:     nn.relu
func.func @relu_of_constant() -> tensor<4xf32> {
  %x = arith.constant dense<[-1.0, 2.0, -0.0, 0x7FC00000]> : tensor<4xf32>
  %0 = nn.relu %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: @transpose_of_transpose
// CHECK-NEXT:    return %arg0
func.func @transpose_of_transpose(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.transpose %x : tensor<4x8xf32>
  %1 = nn.transpose %0 : tensor<8x4xf32>
  return %1 : tensor<4x8xf32>
}

// CHECK-LABEL: @times_one
// CHECK-NEXT:    return %arg0
func.func @times_one(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %one = arith.constant dense<1.0> : tensor<8xf32>
  %0 = nn.mul %x, %one : tensor<4x8xf32>, tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: @plus_negative_zero
// CHECK-NEXT:    return %arg0
func.func @plus_negative_zero(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant dense<-0.0> : tensor<4x8xf32>
  %0 = nn.add %x, %zero : tensor<4x8xf32>, tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -0 + 0 is +0, so this is no identity.
// CHECK-LABEL: @plus_zero
// CHECK:         nn.add
func.func @plus_zero(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant dense<0.0> : tensor<4x8xf32>
  %0 = nn.add %x, %zero : tensor<4x8xf32>, tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: @layer
// CHECK-SAME:    (%[[X:.+]]: tensor<4x8xf32>, %[[W:.+]]: tensor<16x8xf32>, %[[B:.+]]: tensor<16xf32>)
// CHECK-NEXT:    %[[Y:.+]] = nn.linear %[[X]], %[[W]], %[[B]] : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
// CHECK-NEXT:    return %[[Y]]
func.func @layer(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<4x8xf32>, tensor<8x16xf32>
  %2 = nn.add %1, %b : tensor<4x16xf32>, tensor<16xf32>
  return %2 : tensor<4x16xf32>
}

// CHECK-LABEL: @product_is_used_twice
// CHECK:         nn.linear %arg0, %arg1 :
// CHECK:         nn.add
func.func @product_is_used_twice(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>)
    -> (tensor<4x16xf32>, tensor<4x16xf32>) {
  %0 = nn.linear %x, %w : tensor<4x8xf32>, tensor<16x8xf32>
  %1 = nn.add %0, %b : tensor<4x16xf32>, tensor<16xf32>
  return %0, %1 : tensor<4x16xf32>, tensor<4x16xf32>
}

// CHECK-LABEL: @bias_is_there
// CHECK:         nn.linear
// CHECK:         nn.add
func.func @bias_is_there(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = nn.linear %x, %w, %b : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  %1 = nn.add %0, %b : tensor<4x16xf32>, tensor<16xf32>
  return %1 : tensor<4x16xf32>
}

// CHECK-LABEL: @matrix_is_no_bias
// CHECK:         nn.linear
// CHECK:         nn.add
func.func @matrix_is_no_bias(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = nn.linear %x, %w : tensor<4x8xf32>, tensor<16x8xf32>
  %1 = nn.add %0, %b : tensor<4x16xf32>, tensor<4x16xf32>
  return %1 : tensor<4x16xf32>
}

// Sizes may be unknown.
// CHECK-LABEL: @dynamic
// CHECK:         nn.linear %arg0, %arg1 : tensor<?x8xf32>, tensor<16x8xf32>
func.func @dynamic(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>) -> tensor<?x16xf32> {
  %0 = nn.transpose %w : tensor<16x8xf32>
  %1 = nn.matmul %x, %0 : tensor<?x8xf32>, tensor<8x16xf32>
  return %1 : tensor<?x16xf32>
}
