// What the verifiers refuse: sizes of several buffers that do not belong together.
// RUN: ch14-opt --split-input-file --verify-diagnostics %s

func.func @linear_bias(%x: memref<?x8xf32>, %w: memref<2x8x32xf32>, %b: memref<60xf32>, %o: memref<?x64xf32>) {
  // expected-error @below {{size of bias: expected 64, got 60}}
  transformer.rows_linear %x, %w bias %b into %o : memref<?x8xf32>, memref<2x8x32xf32>, memref<?x64xf32>, memref<60xf32>
  return
}

// -----

func.func @linear_depth(%x: memref<?x7xf32>, %w: memref<2x8x32xf32>, %o: memref<?x64xf32>) {
  // expected-error @below {{columns of x: expected at least 8, got 7}}
  transformer.rows_linear %x, %w into %o : memref<?x7xf32>, memref<2x8x32xf32>, memref<?x64xf32>
  return
}

// -----

func.func @linear_out(%x: memref<?x8xf32>, %w: memref<2x8x32xf32>, %o: memref<?x96xf32>) {
  // expected-error @below {{columns of out: expected 64, got 96}}
  transformer.rows_linear %x, %w into %o : memref<?x8xf32>, memref<2x8x32xf32>, memref<?x96xf32>
  return
}

// -----

func.func @linear_rows(%x: memref<3x8xf32>, %w: memref<2x8x32xf32>, %o: memref<4x64xf32>) {
  // expected-error @below {{rows of out: expected 3, got 4}}
  transformer.rows_linear %x, %w into %o : memref<3x8xf32>, memref<2x8x32xf32>, memref<4x64xf32>
  return
}

// -----

func.func @linear_unknown(%x: memref<?x8xf32>, %w: memref<?x8x32xf32>, %o: memref<?x64xf32>) {
  // expected-error @below {{weight: dimension 0 must be static}}
  transformer.rows_linear %x, %w into %o : memref<?x8xf32>, memref<?x8x32xf32>, memref<?x64xf32>
  return
}

// -----

func.func @linear_type(%x: memref<?x8xf64>, %w: memref<2x8x32xf32>, %o: memref<?x64xf32>) {
  // expected-error @below {{operand #0 must be}}
  transformer.rows_linear %x, %w into %o : memref<?x8xf64>, memref<2x8x32xf32>, memref<?x64xf32>
  return
}

// -----

func.func @norm_beta(%x: memref<?x8xf32>, %g: memref<8xf32>, %b: memref<7xf32>, %o: memref<?x8xf32>) {
  // expected-error @below {{size of beta: expected 8, got 7}}
  transformer.rows_norm %x, %g, %b into %o {epsilon = 1.0e-5 : f32}
      : memref<?x8xf32>, memref<8xf32>, memref<7xf32>, memref<?x8xf32>
  return
}

// -----

func.func @norm_x(%x: memref<?x7xf32>, %g: memref<8xf32>, %b: memref<8xf32>, %o: memref<?x8xf32>) {
  // expected-error @below {{columns of x: expected at least 8, got 7}}
  transformer.rows_norm %x, %g, %b into %o {epsilon = 1.0e-5 : f32}
      : memref<?x7xf32>, memref<8xf32>, memref<8xf32>, memref<?x8xf32>
  return
}

// -----

func.func @norm_unknown(%x: memref<?x8xf32>, %g: memref<?xf32>, %b: memref<?xf32>, %o: memref<?x8xf32>) {
  // expected-error @below {{gamma: dimension 0 must be static}}
  transformer.rows_norm %x, %g, %b into %o {epsilon = 1.0e-5 : f32}
      : memref<?x8xf32>, memref<?xf32>, memref<?xf32>, memref<?x8xf32>
  return
}

// -----

func.func @embed_wpe(%t: memref<?xi32>, %p: memref<?xi32>, %w: memref<2x8x32xf32>, %e: memref<9x7xf32>, %o: memref<?x8xf32>) {
  // expected-error @below {{depth of table: expected 7, got 8}}
  transformer.rows_embed %t, %p, %w, %e into %o
      : memref<?xi32>, memref<?xi32>, memref<2x8x32xf32>, memref<9x7xf32>, memref<?x8xf32>
  return
}

// -----

func.func @embed_positions(%t: memref<3xi32>, %p: memref<4xi32>, %w: memref<2x8x32xf32>, %e: memref<9x8xf32>, %o: memref<?x8xf32>) {
  // expected-error @below {{size of positions: expected 3, got 4}}
  transformer.rows_embed %t, %p, %w, %e into %o
      : memref<3xi32>, memref<4xi32>, memref<2x8x32xf32>, memref<9x8xf32>, memref<?x8xf32>
  return
}

// -----

func.func @gather_columns(%x: memref<?x8xf32>, %r: memref<?xi32>, %o: memref<?x9xf32>) {
  // expected-error @below {{columns of out: expected 8, got 9}}
  transformer.rows_gather %x at %r into %o : memref<?x8xf32>, memref<?xi32>, memref<?x9xf32>
  return
}

// -----

func.func @gather_rows(%x: memref<?x8xf32>, %r: memref<2xi32>, %o: memref<3x8xf32>) {
  // expected-error @below {{rows of out: expected 2, got 3}}
  transformer.rows_gather %x at %r into %o : memref<?x8xf32>, memref<2xi32>, memref<3x8xf32>
  return
}

// -----

func.func @store_heads(%q: memref<?x96xf32>, %s: memref<?xi32>, %k: memref<?x2x16x4xf32>, %v: memref<?x3x4x16xf32>) {
  // expected-error @below {{heads of values: expected 2, got 3}}
  transformer.paged_store %q, %s into %k, %v : memref<?x96xf32>, memref<?xi32>, memref<?x2x16x4xf32>, memref<?x3x4x16xf32>
  return
}

// -----

// Keys are transposed in a page, values are not.
func.func @store_layout(%q: memref<?x96xf32>, %s: memref<?xi32>, %k: memref<?x2x16x4xf32>, %v: memref<?x2x16x4xf32>) {
  // expected-error @below {{page size of values: expected 4, got 16}}
  transformer.paged_store %q, %s into %k, %v : memref<?x96xf32>, memref<?xi32>, memref<?x2x16x4xf32>, memref<?x2x16x4xf32>
  return
}

// -----

func.func @store_qkv(%q: memref<?x95xf32>, %s: memref<?xi32>, %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>) {
  // expected-error @below {{columns of qkv: expected at least 96, got 95}}
  transformer.paged_store %q, %s into %k, %v : memref<?x95xf32>, memref<?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>
  return
}

// -----

func.func @attention_pages(%q: memref<?x96xf32>, %p: memref<?xi32>, %s: memref<?xi32>, %t: memref<?x?xi32>,
                           %k: memref<8x2x16x4xf32>, %v: memref<9x2x4x16xf32>, %o: memref<?x32xf32>) {
  // expected-error @below {{pages of values: expected 8, got 9}}
  transformer.paged_attention %q, %p, %s, %t, %k, %v into %o
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<8x2x16x4xf32>, memref<9x2x4x16xf32>,
        memref<?x32xf32>
  return
}

// -----

func.func @attention_out(%q: memref<?x96xf32>, %p: memref<?xi32>, %s: memref<?xi32>, %t: memref<?x?xi32>,
                         %k: memref<?x2x16x4xf32>, %v: memref<?x2x4x16xf32>, %o: memref<?x31xf32>) {
  // expected-error @below {{columns of out: expected at least 32, got 31}}
  transformer.paged_attention %q, %p, %s, %t, %k, %v into %o
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<?x2x16x4xf32>, memref<?x2x4x16xf32>,
        memref<?x31xf32>
  return
}

// -----

func.func @attention_page_size(%q: memref<?x96xf32>, %p: memref<?xi32>, %s: memref<?xi32>, %t: memref<?x?xi32>,
                               %k: memref<?x2x16x?xf32>, %v: memref<?x2x?x16xf32>, %o: memref<?x32xf32>) {
  // expected-error @below {{keys: dimension 3 must be static}}
  transformer.paged_attention %q, %p, %s, %t, %k, %v into %o
      : memref<?x96xf32>, memref<?xi32>, memref<?xi32>, memref<?x?xi32>, memref<?x2x16x?xf32>, memref<?x2x?x16xf32>,
        memref<?x32xf32>
  return
}

// -----

func.func @append_columns(%a: tensor<5x8xf32>, %b: tensor<1x9xf32>) -> tensor<6x8xf32> {
  // expected-error @below {{columns of next: expected 8, got 9}}
  %0 = transformer.append %a, %b : tensor<5x8xf32>, tensor<1x9xf32>
  return %0 : tensor<6x8xf32>
}

// -----

func.func @linear_elements(%x: memref<?x8xf32>, %w: memref<2x4x64xi8>, %o: memref<?x64xf32>) {
  // expected-error @below {{element types of x and weight: expected f32 and f32 or bf16, bf16 and bf16, or i16 and i8, got 'f32' and 'i8'}}
  transformer.rows_linear %x, %w into %o : memref<?x8xf32>, memref<2x4x64xi8>, memref<?x64xf32>
  return
}

// -----

func.func @linear_scales(%x: memref<?x8xi16>, %w: memref<2x4x64xi8>, %o: memref<?x64xf32>) {
  // expected-error @below {{integers need scales}}
  transformer.rows_linear %x, %w into %o : memref<?x8xi16>, memref<2x4x64xi8>, memref<?x64xf32>
  return
}

// -----

func.func @quantize_scales(%x: memref<?x8xf32>, %o: memref<?x8xi16>) {
  // expected-error @below {{scales belong to integers, and integers need them}}
  transformer.rows_quantize %x into %o {columns = 8 : i64} : memref<?x8xf32>, memref<?x8xi16>
  return
}
