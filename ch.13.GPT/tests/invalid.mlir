// Every sentence that the verifiers of this chapter can say.
// RUN: ch13-opt --split-input-file --verify-diagnostics %s

func.func @float_ids(%table: tensor<101x36xf32>, %ids: tensor<5xf32>) {
  // expected-error @below {{operand #1 must be 1D tensor of 32-bit signless integer values}}
  %0 = "transformer.embedding"(%table, %ids) : (tensor<101x36xf32>, tensor<5xf32>) -> tensor<5x36xf32>
  return
}

// -----

func.func @wrong_result(%table: tensor<101x36xf32>, %ids: tensor<5xi32>) {
  // expected-error @below {{inferred type(s) 'tensor<5x36xf32>' are incompatible with return type(s) of operation 'tensor<5x35xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %0 = "transformer.embedding"(%table, %ids) : (tensor<101x36xf32>, tensor<5xi32>) -> tensor<5x35xf32>
  return
}

// -----

func.func @columns_outside(%x: tensor<5x108xf32>) {
  // expected-error @below {{expected columns within 0 to 107, got 100 to 135}}
  %0 = transformer.columns %x from 100 count 36 : tensor<5x108xf32>
  return
}

// -----

func.func @no_columns(%x: tensor<5x108xf32>) {
  // expected-error @below {{attribute 'count' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = transformer.columns %x from 0 count 0 : tensor<5x108xf32>
  return
}

// -----

func.func @mask_not_square() {
  // expected-error @below {{expected a square of known size, got 'tensor<4x5xf32>'}}
  %0 = transformer.causal_mask : tensor<4x5xf32>
  return
}

// -----

func.func @mask_of_unknown_size() {
  // expected-error @below {{expected a square of known size, got 'tensor<?x?xf32>'}}
  %0 = transformer.causal_mask : tensor<?x?xf32>
  return
}

// -----

func.func @mask_too_small(%x: tensor<3x5x5xf32>, %m: tensor<4x5xf32>) {
  // expected-error @below {{expected a mask of 5x5, got 4x5}}
  %0 = transformer.masked_softmax %x, %m : tensor<3x5x5xf32>, tensor<4x5xf32>
  return
}

// -----

func.func @odd_heads(%x: tensor<5x9xf32>) {
  // expected-error @below {{expected heads of an even width: a multiple of 6 columns, got 9}}
  %0 = transformer.rope %x heads 3 base 1.0e4 : tensor<5x9xf32>
  return
}

// -----

func.func @negative_base(%x: tensor<5x8xf32>) {
  // expected-error @below {{expected a positive base, got -1.0}}
  %0 = transformer.rope %x heads 1 base -1.0 : tensor<5x8xf32>
  return
}
