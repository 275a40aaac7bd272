// Each op, and what it becomes.
// RUN: ch9-opt --ch9-to-linalg --split-input-file %s | FileCheck %s

// CHECK: #[[ROW:.+]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: @add_row
// CHECK:         %[[OUT:.+]] = tensor.empty() : tensor<4x8xf32>
// CHECK:         linalg.generic {indexing_maps = [{{.+}}, #[[ROW]], {{.+}}], iterator_types = ["parallel", "parallel"]}
// CHECK-SAME:      ins(%arg0, %arg1 : tensor<4x8xf32>, tensor<8xf32>) outs(%[[OUT]] : tensor<4x8xf32>)
// CHECK:           arith.addf
// CHECK-NOT:     nn.
func.func @add_row(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = nn.add %x, %b : tensor<4x8xf32>, tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: @relu
// CHECK:         linalg.generic
// CHECK:           arith.maximumf {{.+}} : f32
func.func @relu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nn.relu %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// CHECK-LABEL: @mul
// CHECK:         linalg.generic
// CHECK:           arith.mulf {{.+}} : f32
func.func @mul(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nn.mul %x, %x : tensor<4xf32>, tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// CHECK-LABEL: @softmax
// CHECK:         linalg.generic {{.+}}"reduction"
// CHECK:           arith.maximumf
// CHECK:         linalg.generic
// CHECK:           math.exp
// CHECK:         linalg.generic {{.+}}"reduction"
// CHECK:           arith.addf
// CHECK:         linalg.generic
// CHECK:           arith.divf
func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.softmax %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: @matmul
// CHECK:         %[[ZERO:.+]] = linalg.fill
// CHECK:         linalg.matmul ins(%arg0, %arg1 : tensor<4x8xf32>, tensor<8x16xf32>) outs(%[[ZERO]] : tensor<4x16xf32>)
func.func @matmul(%x: tensor<4x8xf32>, %y: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = nn.matmul %x, %y : tensor<4x8xf32>, tensor<8x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// CHECK-LABEL: @transpose
// CHECK:         linalg.transpose ins(%arg0 : tensor<4x8xf32>) outs({{.+}} : tensor<8x4xf32>) permutation = [1, 0]
func.func @transpose(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %0 = nn.transpose %x : tensor<4x8xf32>
  return %0 : tensor<8x4xf32>
}

// -----

// CHECK-DAG: #[[X:.+]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[W:.+]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[Y:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: @linear
// CHECK:         %[[SUM:.+]] = linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]]
// CHECK:         linalg.generic {{.+}} ins(%[[SUM]], %arg2
// CHECK:           arith.addf
func.func @linear(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = nn.linear %x, %w, %b : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// CHECK-LABEL: @dynamic
// CHECK:         tensor.dim %arg0, %{{.+}} : tensor<?x8xf32>
// CHECK:         linalg.matmul {{.+}} -> tensor<?x16xf32>
func.func @dynamic(%x: tensor<?x8xf32>, %y: tensor<8x16xf32>) -> tensor<?x16xf32> {
  %0 = nn.matmul %x, %y : tensor<?x8xf32>, tensor<8x16xf32>
  return %0 : tensor<?x16xf32>
}
