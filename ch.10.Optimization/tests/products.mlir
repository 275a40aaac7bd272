// Every product of two matrices becomes a linalg.matmul, a product of nothing becomes its zeros.
// RUN: ch10-opt --ch9-to-linalg --ch10-products --split-input-file %s | FileCheck %s

// The weight is transposed first.
// CHECK-LABEL: @linear
// CHECK:         %[[W:.+]] = linalg.transpose ins(%arg1 : tensor<16x8xf32>) outs({{.+}} : tensor<8x16xf32>) permutation = [1, 0]
// CHECK:         %[[ZERO:.+]] = linalg.fill
// CHECK:         linalg.matmul ins(%arg0, %[[W]] : tensor<4x8xf32>, tensor<8x16xf32>) outs(%[[ZERO]]
func.func @linear(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>) -> tensor<4x16xf32> {
  %0 = nn.linear %x, %w : tensor<4x8xf32>, tensor<16x8xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// CHECK-LABEL: @matmul
// CHECK-NOT:     linalg.transpose
// CHECK:         linalg.matmul ins(%arg0, %arg1
func.func @matmul(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %0 = nn.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// CHECK-LABEL: @nothing
// CHECK-NOT:     linalg.matmul
// CHECK:         %[[ZERO:.+]] = linalg.fill
// CHECK:         return %[[ZERO]]
func.func @nothing(%a: tensor<4x0xf32>, %b: tensor<0x16xf32>) -> tensor<4x16xf32> {
  %0 = nn.matmul %a, %b : tensor<4x0xf32>, tensor<0x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// A sum that does not begin with zeros is left alone.
// CHECK-LABEL: @goes_on
// CHECK:         linalg.generic
// CHECK-NOT:     linalg.matmul
#x = affine_map<(i, j, k) -> (i, k)>
#w = affine_map<(i, j, k) -> (j, k)>
#y = affine_map<(i, j, k) -> (i, j)>
func.func @goes_on(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %y: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<16x8xf32>) outs(%y : tensor<4x16xf32>) {
  ^bb0(%e: f32, %f: f32, %sum: f32):
    %product = arith.mulf %e, %f : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  } -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}
