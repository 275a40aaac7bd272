// What each verifier refuses, and its sentence.
// RUN: ch12-opt --verify-diagnostics --split-input-file %s

func.func @gamma(%x: tensor<4x8xf32>, %g: tensor<4xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{'transformer.layer_norm' op expected gamma as long as a row of the input, 8, got 4}}
  %0 = transformer.layer_norm %x, %g, %b epsilon 1.0e-5 : tensor<4x8xf32>, tensor<4xf32>, tensor<8xf32>
  return
}

// -----

func.func @beta(%x: tensor<4x8xf32>, %g: tensor<8xf32>, %b: tensor<9xf32>) {
  // expected-error @below {{'transformer.layer_norm' op expected beta as long as a row of the input, 8, got 9}}
  %0 = transformer.layer_norm %x, %g, %b epsilon 1.0e-5 : tensor<4x8xf32>, tensor<8xf32>, tensor<9xf32>
  return
}

// -----

func.func @epsilon(%x: tensor<4x8xf32>, %g: tensor<8xf32>) {
  // expected-error @below {{'transformer.layer_norm' op expected an epsilon of 0 or more, got -1.000000e+00}}
  %0 = transformer.layer_norm %x, %g, %g epsilon -1.0 : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @norm_rank(%x: tensor<2x4x8xf32>, %g: tensor<8xf32>) {
  // expected-error @below {{operand #0 must be 2D tensor of 32-bit float values, but got 'tensor<2x4x8xf32>'}}
  %0 = transformer.layer_norm %x, %g, %g epsilon 1.0e-5 : tensor<2x4x8xf32>, tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @weight(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{'transformer.linear' op expected as many columns in the weight as in the input, 8, got 16}}
  %0 = transformer.linear %x, %w, %b : tensor<4x8xf32>, tensor<8x16xf32>, tensor<8xf32>
  return
}

// -----

func.func @bias(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{'transformer.linear' op expected a bias for each row of the weight, 16, got 8}}
  %0 = transformer.linear %x, %w, %b : tensor<4x8xf32>, tensor<16x8xf32>, tensor<8xf32>
  return
}

// -----

func.func @linear_rank(%x: tensor<8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) {
  // expected-error @below {{expected input and weight of rank 2, got 'tensor<8xf32>' and 'tensor<16x8xf32>'}}
  %0 = transformer.linear %x, %w, %b : tensor<8xf32>, tensor<16x8xf32>, tensor<16xf32>
  return
}

// -----

func.func @gelu(%x: tensor<4xi32>) {
  // expected-error @below {{operand #0 must be 1D/2D/3D tensor of 32-bit float values, but got 'tensor<4xi32>'}}
  %0 = transformer.gelu %x : tensor<4xi32>
  return
}
