// Products of panels; what comes after a product moves into their shape.
// RUN: ch10-opt --ch9-to-linalg --linalg-fuse-elementwise-ops "--ch10-pack=lanes=16" --split-input-file %s | FileCheck %s

// CHECK-DAG:  #[[A:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d3)>
// CHECK-DAG:  #[[B:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d2, d4)>
// CHECK-DAG:  #[[C:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1, d4)>
// CHECK-LABEL: @linear
// CHECK:         %[[X:.+]] = tensor.expand_shape %arg0 {{.+}} : tensor<16x32xf32> into tensor<2x8x32xf32>
// CHECK:         %[[XP:.+]] = linalg.transpose ins(%[[X]] : {{.+}}) outs({{.+}} : tensor<2x32x8xf32>) permutation = [0, 2, 1] {ch10.pack}
// CHECK:         %[[W:.+]] = tensor.expand_shape %arg1 {{.+}} : tensor<64x32xf32> into tensor<2x32x32xf32>
// CHECK:         %[[WP:.+]] = linalg.transpose ins(%[[W]] : {{.+}}) outs({{.+}}) permutation = [0, 2, 1] {ch10.pack}
// CHECK:         %[[P:.+]] = linalg.generic {indexing_maps = [#[[A]], #[[B]], #[[C]]]
// CHECK-SAME:      "parallel", "parallel", "reduction", "parallel", "parallel"
// CHECK-SAME:      ins(%[[XP]], %[[WP]]
// CHECK-SAME:      ch10.product
// CHECK:         linalg.generic {{.+}} ins(%[[P]], %{{.+}} : tensor<2x8x2x32xf32>, tensor<2x32xf32>) {{.+}}ch10.epilogue
// CHECK:           arith.addf
// CHECK:           arith.maximumf
func.func @linear(%x: tensor<16x32xf32>, %w: tensor<64x32xf32>, %b: tensor<64xf32>) -> tensor<16x64xf32> {
  %0 = nn.linear %x, %w, %b : tensor<16x32xf32>, tensor<64x32xf32>, tensor<64xf32>
  %1 = nn.relu %0 : tensor<16x64xf32>
  return %1 : tensor<16x64xf32>
}

// -----

// Nine rows are two blocks of five; nine steps of k become 16, nine columns 32. The product is cut out of the tiles, so
// that what comes after it stays outside, and an op that only hands the elements on is in its place.
// CHECK-LABEL: @ragged
// CHECK:         tensor.insert_slice %arg0 into %{{.+}} : tensor<9x9xf32> into tensor<10x16xf32>
// CHECK:         tensor.insert_slice %arg1 into %{{.+}} : tensor<9x9xf32> into tensor<16x32xf32>
// CHECK:         %[[P:.+]] = linalg.generic {{.+}} tensor<2x5x1x32xf32>) attrs = {ch10.product}
// CHECK:         %[[E:.+]] = linalg.generic {{.+}} ins(%[[P]] : {{.+}}ch10.epilogue
// CHECK:         %[[FLAT:.+]] = tensor.collapse_shape %[[E]]
// CHECK:         tensor.extract_slice %[[FLAT]][0, 0] [9, 9] [1, 1] : tensor<10x32xf32> to tensor<9x9xf32>
func.func @ragged(%a: tensor<9x9xf32>, %b: tensor<9x9xf32>) -> tensor<9x9xf32> {
  %0 = nn.matmul %a, %b : tensor<9x9xf32>, tensor<9x9xf32>
  %1 = nn.relu %0 : tensor<9x9xf32>
  return %1 : tensor<9x9xf32>
}

// -----

// A sum of two products is the epilogue of one of them.
// CHECK-LABEL: @two
// CHECK-COUNT-2: ch10.product
// CHECK-COUNT-2: ch10.epilogue
// CHECK-NOT:     ch10.epilogue
func.func @two(%a: tensor<8x16xf32>, %b: tensor<16x32xf32>, %c: tensor<16x32xf32>) -> tensor<8x32xf32> {
  %0 = nn.matmul %a, %b : tensor<8x16xf32>, tensor<16x32xf32>
  %1 = nn.matmul %a, %c : tensor<8x16xf32>, tensor<16x32xf32>
  %2 = nn.add %0, %1 : tensor<8x32xf32>, tensor<8x32xf32>
  return %2 : tensor<8x32xf32>
}

// -----

// The output is looked at in the shape of the tiles.
// CHECK-LABEL: @out
// CHECK:         %[[E:.+]] = linalg.generic {{.+}}ch10.epilogue
// CHECK:         %[[OUT:.+]] = memref.expand_shape %arg2 {{.+}} : memref<16x64xf32> into memref<2x8x2x32xf32>
// CHECK:         bufferization.materialize_in_destination %[[E]] in restrict writable %[[OUT]]
func.func @out(%a: tensor<16x16xf32>, %b: tensor<16x64xf32>, %out: memref<16x64xf32>) {
  %0 = nn.matmul %a, %b : tensor<16x16xf32>, tensor<16x64xf32>
  bufferization.materialize_in_destination %0 in restrict writable %out : (tensor<16x64xf32>, memref<16x64xf32>) -> ()
  return
}

// -----

// CHECK-LABEL: @nothing
// CHECK-NOT:     ch10.
func.func @nothing(%a: tensor<0x16xf32>, %b: tensor<16x32xf32>) -> tensor<0x32xf32> {
  %0 = nn.matmul %a, %b : tensor<0x16xf32>, tensor<16x32xf32>
  return %0 : tensor<0x32xf32>
}
