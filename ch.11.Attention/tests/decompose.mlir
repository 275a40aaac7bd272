// What --ch11-decompose makes of attention.
// RUN: ch11-opt --ch11-decompose --split-input-file %s | FileCheck %s

// [T, D] -> [T, H, D/H] -> [H, T, D/H]; the keys with their columns before their rows.
// CHECK-LABEL: func.func @two_heads
// CHECK-SAME:      %[[Q:.*]]: tensor<5x8xf32>, %[[K:.*]]: tensor<9x8xf32>, %[[V:.*]]: tensor<9x6xf32>
// CHECK:         %[[Q3:.*]] = tensor.expand_shape %[[Q]] {{\[\[}}0], [1, 2]] output_shape [5, 2, 4]
// CHECK:         %[[QH:.*]] = transformer.transpose %[[Q3]] [1, 0, 2]
// CHECK:         %[[K3:.*]] = tensor.expand_shape %[[K]]
// CHECK:         %[[KH:.*]] = transformer.transpose %[[K3]] [1, 2, 0]
// CHECK:         %[[V3:.*]] = tensor.expand_shape %[[V]] {{.*}} output_shape [9, 2, 3]
// CHECK:         %[[VH:.*]] = transformer.transpose %[[V3]] [1, 0, 2]
// CHECK:         %[[QS:.*]] = transformer.scale %[[QH]] by 5.000000e-01
// CHECK:         %[[S:.*]] = transformer.matmul %[[QS]], %[[KH]] : tensor<2x5x4xf32>, tensor<2x4x9xf32>
// CHECK-NOT:     linalg.generic
// CHECK:         %[[P:.*]] = transformer.softmax %[[S]] : tensor<2x5x9xf32>
// CHECK:         %[[O:.*]] = transformer.matmul %[[P]], %[[VH]]
// CHECK:         %[[OT:.*]] = transformer.transpose %[[O]] [1, 0, 2]
// CHECK:         tensor.collapse_shape %[[OT]] {{.*}} tensor<5x2x3xf32> into tensor<5x6xf32>
// CHECK-NOT:     transformer.attention
func.func @two_heads(%q: tensor<5x8xf32>, %k: tensor<9x8xf32>, %v: tensor<9x6xf32>) -> tensor<5x6xf32> {
  %0 = transformer.attention %q, %k, %v heads 2 : tensor<5x8xf32>, tensor<9x8xf32>, tensor<9x6xf32>
  return %0 : tensor<5x6xf32>
}

// -----

// CHECK-LABEL: func.func @causal
// CHECK:         %[[S:.*]] = transformer.matmul
// CHECK:         %[[M:.*]] = linalg.generic {{.*}} ins(%[[S]] : tensor<1x5x5xf32>)
// CHECK:         ^bb0(%[[SCORE:.*]]: f32,
// CHECK-DAG:       %[[ROW:.*]] = linalg.index 1
// CHECK-DAG:       %[[COLUMN:.*]] = linalg.index 2
// CHECK:           %[[SEEN:.*]] = arith.cmpi ule, %[[COLUMN]], %[[ROW]]
// CHECK:           %[[NEVER:.*]] = arith.constant 0xFF800000
// CHECK:           arith.select %[[SEEN]], %[[SCORE]], %[[NEVER]]
// CHECK:         transformer.softmax %[[M]]
func.func @causal(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %0 = transformer.attention %x, %x, %x heads 1 causal : tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----

// With three tokens before the queries, row t sees the columns 0 to t + 3.
// CHECK-LABEL: func.func @past
// CHECK:         linalg.generic {{.*}} outs({{.*}} : tensor<1x2x5xf32>)
// CHECK:           %[[ROW:.*]] = linalg.index 1
// CHECK:           %[[THREE:.*]] = arith.constant 3 : index
// CHECK:           %[[LAST:.*]] = arith.addi %[[ROW]], %[[THREE]]
// CHECK:           %[[COLUMN:.*]] = linalg.index 2
// CHECK:           arith.cmpi ule, %[[COLUMN]], %[[LAST]]
func.func @past(%q: tensor<2x4xf32>, %k: tensor<5x4xf32>) -> tensor<2x4xf32> {
  %0 = transformer.attention %q, %k, %k heads 1 causal past 3 : tensor<2x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

// Lengths may be unknown.
// CHECK-LABEL: func.func @dynamic
// CHECK:         transformer.softmax {{.*}} : tensor<2x?x?xf32>
func.func @dynamic(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = transformer.attention %q, %k, %k heads 2 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Other ops are left alone.
// CHECK-LABEL: func.func @others
// CHECK-NEXT:    transformer.softmax
// CHECK-NEXT:    transformer.add
// CHECK-NEXT:    return
func.func @others(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %0 = transformer.softmax %x : tensor<5x4xf32>
  %1 = transformer.add %0, %x : tensor<5x4xf32>, tensor<5x4xf32>
  return %1 : tensor<5x4xf32>
}
