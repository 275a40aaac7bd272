// Each op of the chapter and what --ch13-lower makes of it.
// RUN: ch13-opt --ch13-lower --split-input-file %s | FileCheck %s
// RUN: ch13-opt --ch13-pipeline --split-input-file %s | FileCheck %s --check-prefix=LLVM

// The table is not copied: each element of the result is read from it.
// CHECK-LABEL: func.func @embedding
// CHECK-SAME:      %[[TABLE:.*]]: tensor<101x36xf32>, %[[IDS:.*]]: tensor<5xi32>
// CHECK:         linalg.generic {{.*}} ins(%[[IDS]] : tensor<5xi32>) outs({{.*}} : tensor<5x36xf32>)
// CHECK:         ^bb0(%[[ID:.*]]: i32, %{{.*}}: f32):
// CHECK:           %[[ROW:.*]] = arith.index_cast %[[ID]] : i32 to index
// CHECK:           %[[COLUMN:.*]] = linalg.index 1
// CHECK:           tensor.extract %[[TABLE]][%[[ROW]], %[[COLUMN]]]
// CHECK-NOT:     transformer.
// LLVM-LABEL:  llvm.func @embedding
// LLVM-NOT:    transformer.
func.func @embedding(%table: tensor<101x36xf32>, %ids: tensor<5xi32>) -> tensor<5x36xf32> {
  %0 = transformer.embedding %table[%ids] : tensor<101x36xf32>, tensor<5xi32>
  return %0 : tensor<5x36xf32>
}

// -----

// CHECK-LABEL: func.func @columns
// CHECK:         tensor.extract_slice %{{.*}}[0, 36] [5, 36] [1, 1] : tensor<5x108xf32> to tensor<5x36xf32>
// CHECK-NOT:     transformer.
func.func @columns(%qkv: tensor<5x108xf32>) -> tensor<5x36xf32> {
  %0 = transformer.columns %qkv from 36 count 36 : tensor<5x108xf32>
  return %0 : tensor<5x36xf32>
}

// -----

// CHECK-LABEL: func.func @columns_of_no_rows
// CHECK:         tensor.empty() : tensor<0x3xf32>
// CHECK-NOT:     tensor.extract_slice
func.func @columns_of_no_rows(%x: tensor<0x8xf32>) -> tensor<0x3xf32> {
  %0 = transformer.columns %x from 2 count 3 : tensor<0x8xf32>
  return %0 : tensor<0x3xf32>
}

// -----

// CHECK-LABEL: func.func @dynamic_columns
// CHECK:         %[[ROWS:.*]] = tensor.dim
// CHECK:         tensor.extract_slice %{{.*}}[0, 2] [%[[ROWS]], 3] [1, 1]
func.func @dynamic_columns(%x: tensor<?x8xf32>) -> tensor<?x3xf32> {
  %0 = transformer.columns %x from 2 count 3 : tensor<?x8xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// CHECK-LABEL: func.func @causal_mask
// CHECK:         linalg.generic
// CHECK-DAG:       %[[ROW:.*]] = linalg.index 0
// CHECK-DAG:       %[[COLUMN:.*]] = linalg.index 1
// CHECK:           %[[SEEN:.*]] = arith.cmpi ule, %[[COLUMN]], %[[ROW]]
// CHECK-DAG:       %[[ZERO:.*]] = arith.constant 0.0
// CHECK-DAG:       %[[NEVER:.*]] = arith.constant 0xFF800000
// CHECK:           arith.select %[[SEEN]], %[[ZERO]], %[[NEVER]]
func.func @causal_mask() -> tensor<5x5xf32> {
  %0 = transformer.causal_mask : tensor<5x5xf32>
  return %0 : tensor<5x5xf32>
}

// -----

// One mask for all heads; the softmax is left to ch.11.
// CHECK-DAG: #[[ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[MASK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func.func @masked_softmax
// CHECK:         %[[SUM:.*]] = linalg.generic {indexing_maps = [#[[ALL]], #[[MASK]], #[[ALL]]]
// CHECK:           arith.addf
// CHECK:         transformer.softmax %[[SUM]] : tensor<3x5x5xf32>
// CHECK-NOT:     transformer.masked_softmax
func.func @masked_softmax(%x: tensor<3x5x5xf32>, %m: tensor<5x5xf32>) -> tensor<3x5x5xf32> {
  %0 = transformer.masked_softmax %x, %m : tensor<3x5x5xf32>, tensor<5x5xf32>
  return %0 : tensor<3x5x5xf32>
}

// -----

// Two tables of T x W/2, not of T x D: all heads share them.
// CHECK-LABEL: func.func @rope
// CHECK-SAME:      %[[X:.*]]: tensor<5x12xf32>
// CHECK:         %[[COS:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<5x3xf32>)
// CHECK:           math.cos {{.*}} : f64
// CHECK:         %[[SIN:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<5x3xf32>)
// CHECK:           math.sin {{.*}} : f64
// CHECK:         %[[PAIRS:.*]] = tensor.expand_shape %[[X]] {{\[\[}}0], [1, 2, 3]] {{.*}} into tensor<5x2x3x2xf32>
// CHECK:         linalg.generic {{.*}} ins(%[[PAIRS]], %[[COS]], %[[SIN]]
// CHECK:           tensor.extract %[[PAIRS]]
// CHECK:         tensor.collapse_shape {{.*}} into tensor<5x12xf32>
func.func @rope(%x: tensor<5x12xf32>) -> tensor<5x12xf32> {
  %0 = transformer.rope %x heads 2 base 1.0e4 : tensor<5x12xf32>
  return %0 : tensor<5x12xf32>
}

// -----

// With earlier tokens the first row stands at position 7.
// CHECK-LABEL: func.func @rope_after_seven
// CHECK:           %[[BEFORE:.*]] = arith.constant 7.0{{.*}} : f64
// CHECK:           arith.addf {{.*}}%[[BEFORE]]{{.*}} : f64
func.func @rope_after_seven(%x: tensor<5x12xf32>) -> tensor<5x12xf32> {
  %0 = transformer.rope %x heads 2 base 1.0e4 from 7 : tensor<5x12xf32>
  return %0 : tensor<5x12xf32>
}

// -----

// An op of another chapter is not this pass's business.
// CHECK-LABEL: func.func @untouched
// CHECK:         transformer.add
func.func @untouched(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.add %x, %x : tensor<4x8xf32>, tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
