// What each verifier refuses, and its sentence.
// RUN: ch9-opt --verify-diagnostics --split-input-file %s

func.func @add_shapes(%a: tensor<4x8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{'nn.add' op expected rhs of the shape of lhs, or a vector as long as its last axis; lhs is 'tensor<4x8xf32>', rhs is 'tensor<4xf32>'}}
  %0 = nn.add %a, %b : tensor<4x8xf32>, tensor<4xf32>
  return
}

// -----

func.func @mul_shapes(%a: tensor<8xf32>, %b: tensor<4x8xf32>) {
  // expected-error @below {{'nn.mul' op expected rhs of the shape of lhs, or a vector}}
  %0 = nn.mul %a, %b : tensor<8xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @element_type(%a: tensor<4x8xf64>) {
  // expected-error @below {{operand #0 must be 1D/2D tensor of 32-bit float values, but got 'tensor<4x8xf64>'}}
  %0 = nn.relu %a : tensor<4x8xf64>
  return
}

// -----

func.func @rank(%a: tensor<2x4x8xf32>) {
  // expected-error @below {{operand #0 must be 1D/2D tensor of 32-bit float values, but got 'tensor<2x4x8xf32>'}}
  %0 = nn.softmax %a : tensor<2x4x8xf32>
  return
}

// -----

func.func @matmul_inner(%a: tensor<4x8xf32>, %b: tensor<7x3xf32>) {
  // expected-error @below {{'nn.matmul' op expected as many rows in rhs as columns in lhs, 8, got 7}}
  %0 = nn.matmul %a, %b : tensor<4x8xf32>, tensor<7x3xf32>
  return
}

// -----

func.func @matmul_vector(%a: tensor<4x8xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{expected two matrices, got 'tensor<4x8xf32>' and 'tensor<8xf32>'}}
  %0 = nn.matmul %a, %b : tensor<4x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @linear_weight(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>) {
  // expected-error @below {{'nn.linear' op expected as many columns in weight as in input, 8, got 16}}
  %0 = nn.linear %x, %w : tensor<4x8xf32>, tensor<8x16xf32>
  return
}

// -----

func.func @linear_bias(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{'nn.linear' op expected as many elements in bias as rows in weight, 16, got 4}}
  %0 = nn.linear %x, %w, %b : tensor<4x8xf32>, tensor<16x8xf32>, tensor<4xf32>
  return
}

// -----

func.func @transpose_vector(%x: tensor<4xf32>) {
  // expected-error @below {{expected a matrix, got 'tensor<4xf32>'}}
  %0 = nn.transpose %x : tensor<4xf32>
  return
}
