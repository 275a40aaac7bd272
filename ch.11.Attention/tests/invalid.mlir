// What each verifier refuses, and its sentence.
// RUN: ch11-opt --verify-diagnostics --split-input-file %s

func.func @add_shapes(%a: tensor<4x8xf32>, %b: tensor<4xf32>) {
  // expected-error @below {{'transformer.add' op expected rhs of the shape of lhs, or a vector as long as its last axis; lhs is 'tensor<4x8xf32>', rhs is 'tensor<4xf32>'}}
  %0 = transformer.add %a, %b : tensor<4x8xf32>, tensor<4xf32>
  return
}

// -----

func.func @mul_shapes(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>) {
  // expected-error @below {{'transformer.mul' op expected rhs of the shape of lhs}}
  %0 = transformer.mul %a, %b : tensor<4x8xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @element_type(%a: tensor<4x8xf64>) {
  // expected-error @below {{operand #0 must be 1D/2D/3D tensor of 32-bit float values, but got 'tensor<4x8xf64>'}}
  %0 = transformer.softmax %a : tensor<4x8xf64>
  return
}

// -----

func.func @rank(%a: tensor<1x1x4x8xf32>) {
  // expected-error @below {{operand #0 must be 1D/2D/3D tensor of 32-bit float values, but got 'tensor<1x1x4x8xf32>'}}
  %0 = transformer.scale %a by 2.0 : tensor<1x1x4x8xf32>
  return
}

// -----

func.func @unranked(%a: tensor<*xf32>) {
  // expected-error @below {{invalid kind of type specified: expected builtin.tensor, but found 'tensor<*xf32>'}}
  %0 = transformer.softmax %a : tensor<*xf32>
  return
}

// -----

func.func @matmul_inner(%a: tensor<4x8xf32>, %b: tensor<7x3xf32>) {
  // expected-error @below {{'transformer.matmul' op expected as many rows in rhs as columns in lhs, 8, got 7}}
  %0 = transformer.matmul %a, %b : tensor<4x8xf32>, tensor<7x3xf32>
  return
}

// -----

func.func @matmul_heads(%a: tensor<2x4x8xf32>, %b: tensor<3x8x4xf32>) {
  // expected-error @below {{'transformer.matmul' op expected as many matrices in rhs as in lhs, 2, got 3}}
  %0 = transformer.matmul %a, %b : tensor<2x4x8xf32>, tensor<3x8x4xf32>
  return
}

// -----

func.func @matmul_ranks(%a: tensor<2x4x8xf32>, %b: tensor<8x4xf32>) {
  // expected-error @below {{expected two tensors of one rank, 2 or 3, got 'tensor<2x4x8xf32>' and 'tensor<8x4xf32>'}}
  %0 = transformer.matmul %a, %b : tensor<2x4x8xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @matmul_result(%a: tensor<4x8xf32>, %b: tensor<8x3xf32>) {
  // expected-error @below {{'transformer.matmul' op inferred type(s) 'tensor<4x3xf32>' are incompatible with return type(s) of operation 'tensor<3x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "transformer.matmul"(%a, %b) : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @transpose_twice(%a: tensor<4x8xf32>) {
  // expected-error @below {{expected a permutation of the axes of 'tensor<4x8xf32>', got [1, 1]}}
  %0 = transformer.transpose %a [1, 1] : tensor<4x8xf32>
  return
}

// -----

func.func @transpose_length(%a: tensor<4x8xf32>) {
  // expected-error @below {{expected a permutation of the axes of 'tensor<4x8xf32>', got [1, 0, 2]}}
  %0 = transformer.transpose %a [1, 0, 2] : tensor<4x8xf32>
  return
}

// -----

func.func @attention_width(%q: tensor<5x8xf32>, %k: tensor<5x6xf32>) {
  // expected-error @below {{'transformer.attention' op expected as many columns in k as in q, 8, got 6}}
  %0 = transformer.attention %q, %k, %q heads 2 : tensor<5x8xf32>, tensor<5x6xf32>, tensor<5x8xf32>
  return
}

// -----

func.func @attention_keys(%q: tensor<5x8xf32>, %v: tensor<4x8xf32>) {
  // expected-error @below {{'transformer.attention' op expected as many rows in v as in k, 5, got 4}}
  %0 = transformer.attention %q, %q, %v heads 2 : tensor<5x8xf32>, tensor<5x8xf32>, tensor<4x8xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<5x8xf32>) {
  // expected-error @below {{'transformer.attention' op expected a positive multiple of num_heads, 3, columns in q, got 8}}
  %0 = transformer.attention %q, %q, %q heads 3 : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>
  return
}

// -----

func.func @attention_value_heads(%q: tensor<5x8xf32>, %v: tensor<5x6xf32>) {
  // expected-error @below {{'transformer.attention' op expected a positive multiple of num_heads, 4, columns in v, got 6}}
  %0 = transformer.attention %q, %q, %v heads 4 : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x6xf32>
  return
}

// -----

func.func @attention_unknown_width(%q: tensor<5x?xf32>) {
  // expected-error @below {{'transformer.attention' op expected a positive multiple of num_heads, 2, columns in q, got ?}}
  %0 = transformer.attention %q, %q, %q heads 2 : tensor<5x?xf32>, tensor<5x?xf32>, tensor<5x?xf32>
  return
}

// -----

func.func @attention_no_heads(%q: tensor<5x8xf32>) {
  // expected-error @below {{attribute 'num_heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = transformer.attention %q, %q, %q heads 0 : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>
  return
}

// -----

func.func @attention_causal(%q: tensor<5x8xf32>, %k: tensor<9x8xf32>) {
  // expected-error @below {{'transformer.attention' op expected as many keys as queries with causal, 5, got 9}}
  %0 = transformer.attention %q, %k, %k heads 2 causal : tensor<5x8xf32>, tensor<9x8xf32>, tensor<9x8xf32>
  return
}

// -----

func.func @attention_past(%q: tensor<5x8xf32>, %k: tensor<9x8xf32>) {
  // expected-error @below {{'transformer.attention' op expected as many keys as past tokens and queries with causal, 8, got 9}}
  %0 = transformer.attention %q, %k, %k heads 2 causal past 3 : tensor<5x8xf32>, tensor<9x8xf32>, tensor<9x8xf32>
  return
}

// -----

func.func @attention_past_without_causal(%q: tensor<5x8xf32>) {
  // expected-error @below {{'transformer.attention' op expected causal where there is a past}}
  %0 = transformer.attention %q, %q, %q heads 2 past 3 : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>
  return
}
