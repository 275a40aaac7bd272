// Operands of products are filled up with zeros, the result is cut out; what fits is left alone.
// RUN: ch10-opt --ch9-to-linalg "--ch10-pad=lanes=16" --split-input-file %s | FileCheck %s
// RUN: ch10-opt --ch9-to-linalg "--ch10-pad=lanes=8 block=64" --split-input-file %s | FileCheck %s --check-prefix=BLOCK
// RUN: not ch10-opt "--ch10-pad=lanes=3" --split-input-file %s 2>&1 | FileCheck %s --check-prefix=LANES

// LANES: error: lanes: expected 16, 8 or 4, got 3

// BLOCK-LABEL: @ragged
// BLOCK:         linalg.matmul {{.+}} : tensor<132x772xf32>, tensor<772x3072xf32>)

// CHECK-LABEL: @ragged
// CHECK:         %[[ZERO:.+]] = arith.constant 0.000000e+00
// CHECK:         %[[A0:.+]] = linalg.fill ins(%{{.+}}) outs({{.+}} : tensor<128x772xf32>)
// CHECK:         %[[A:.+]] = tensor.insert_slice %arg0 into %[[A0]][0, 0] [127, 769] [1, 1]
// CHECK:         %[[B0:.+]] = linalg.fill ins(%{{.+}}) outs({{.+}} : tensor<772x3072xf32>)
// CHECK:         %[[B:.+]] = tensor.insert_slice %arg1 into %[[B0]][0, 0] [769, 3071] [1, 1]
// CHECK:         %[[C:.+]] = linalg.matmul ins(%[[A]], %[[B]] : tensor<128x772xf32>, tensor<772x3072xf32>)
// CHECK:         tensor.extract_slice %[[C]][0, 0] [127, 3071] [1, 1] : tensor<128x3072xf32> to tensor<127x3071xf32>
func.func @ragged(%a: tensor<127x769xf32>, %b: tensor<769x3071xf32>) -> tensor<127x3071xf32> {
  %0 = nn.matmul %a, %b : tensor<127x769xf32>, tensor<769x3071xf32>
  return %0 : tensor<127x3071xf32>
}

// -----

// CHECK-LABEL: @fits
// CHECK-NOT:     slice
// CHECK:         linalg.matmul ins(%arg0, %arg1
func.func @fits(%a: tensor<8x4xf32>, %b: tensor<4x32xf32>) -> tensor<8x32xf32> {
  %0 = nn.matmul %a, %b : tensor<8x4xf32>, tensor<4x32xf32>
  return %0 : tensor<8x32xf32>
}
