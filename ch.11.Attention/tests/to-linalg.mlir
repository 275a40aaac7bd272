// What --ch11-to-linalg makes of each op.
// RUN: ch11-opt --ch11-to-linalg --split-input-file %s | FileCheck %s

// CHECK-DAG: #[[ALL:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @row_vector
// CHECK:         linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]], iterator_types = ["parallel", "parallel"]}
// CHECK:           arith.addf
// CHECK-NOT:     transformer.
func.func @row_vector(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.add %x, %b : tensor<4x8xf32>, tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @elementwise
// CHECK:         linalg.generic
// CHECK:           arith.mulf
// CHECK:         %[[FACTOR:.*]] = arith.constant 2.500000e-01
// CHECK:         linalg.generic
// CHECK:           arith.mulf %{{.*}}, %[[FACTOR]]
func.func @elementwise(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.mul %x, %x : tensor<4x8xf32>, tensor<4x8xf32>
  %1 = transformer.scale %0 by 2.500000e-01 : tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func.func @matmul
// CHECK:         %[[ZERO:.*]] = linalg.fill
// CHECK:         linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<8x3xf32>) outs(%[[ZERO]] : tensor<4x3xf32>)
func.func @matmul(%a: tensor<4x8xf32>, %b: tensor<8x3xf32>) -> tensor<4x3xf32> {
  %0 = transformer.matmul %a, %b : tensor<4x8xf32>, tensor<8x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// CHECK-LABEL: func.func @matmul_of_heads
// CHECK:         linalg.fill
// CHECK:         linalg.batch_matmul
func.func @matmul_of_heads(%a: tensor<2x4x8xf32>, %b: tensor<2x8x3xf32>) -> tensor<2x4x3xf32> {
  %0 = transformer.matmul %a, %b : tensor<2x4x8xf32>, tensor<2x8x3xf32>
  return %0 : tensor<2x4x3xf32>
}

// -----

// CHECK-LABEL: func.func @transpose
// CHECK:         linalg.transpose ins(%{{.*}} : tensor<2x4x8xf32>) outs(%{{.*}} : tensor<8x2x4xf32>) permutation = [2, 0, 1]
func.func @transpose(%a: tensor<2x4x8xf32>) -> tensor<8x2x4xf32> {
  %0 = transformer.transpose %a [2, 0, 1] : tensor<2x4x8xf32>
  return %0 : tensor<8x2x4xf32>
}

// -----

// Four passes over a row, and the maximum before the first exp.
// CHECK-LABEL: func.func @softmax
// CHECK-SAME:      %[[X:.*]]: tensor<4x8xf32>
// CHECK:         arith.constant 0xFF800000
// CHECK:         %[[MAX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[X]] :
// CHECK:           arith.maximumf
// CHECK:         %[[EXP:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[MAX]] :
// CHECK:           arith.subf
// CHECK:           math.exp
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[EXP]] :
// CHECK:           arith.addf
// CHECK:         linalg.generic {{.*}} ins(%[[EXP]], %[[SUM]] :
// CHECK:           arith.divf
// CHECK-NOT:     transformer.
func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.softmax %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// One row: the maximum and the sum are tensors without an axis.
// CHECK-LABEL: func.func @softmax_of_a_vector
// CHECK:         linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%{{.*}} : tensor<8xf32>) outs(%{{.*}} : tensor<f32>)
func.func @softmax_of_a_vector(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = transformer.softmax %x : tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// CHECK-LABEL: func.func @dynamic
// CHECK:         tensor.dim
// CHECK:         tensor.empty(%{{.*}}) : tensor<?x3xf32>
// CHECK:         linalg.matmul
func.func @dynamic(%a: tensor<?x8xf32>, %b: tensor<8x3xf32>) -> tensor<?x3xf32> {
  %0 = transformer.matmul %a, %b : tensor<?x8xf32>, tensor<8x3xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// Nothing of another dialect is touched.
// CHECK-LABEL: func.func @others
// CHECK-NEXT:    math.absf
// CHECK-NEXT:    return
func.func @others(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = math.absf %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
