// extract_slice is a view, insert_slice of what lies in the right place already is nothing; an empty tensor
// that is inserted is memory of its own, until eliminate-empty-tensors puts it where it belongs.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --cse --canonicalize | FileCheck %s
// RUN: mlir-opt %s --eliminate-empty-tensors --one-shot-bufferize="bufferize-function-boundaries" --cse --canonicalize | FileCheck %s --check-prefix=ELIMINATED

// CHECK-LABEL: func.func @in_place
// CHECK-NEXT:    %[[ROW:.*]] = memref.subview %arg0[1, 0] [1, 8] [1, 1]
// CHECK-NEXT:    linalg.fill ins(%arg1 : f32) outs(%[[ROW]]
// CHECK-NEXT:    return
// [in-place]
func.func @in_place(%t: tensor<4x8xf32>, %f: f32) -> tensor<4x8xf32> {
  %row = tensor.extract_slice %t[1, 0] [1, 8] [1, 1] : tensor<4x8xf32> to tensor<1x8xf32>
  %filled = linalg.fill ins(%f : f32) outs(%row : tensor<1x8xf32>) -> tensor<1x8xf32>
  %u = tensor.insert_slice %filled into %t[1, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %u : tensor<4x8xf32>
}
// [/in-place]

// CHECK-LABEL: func.func @elsewhere
// CHECK-NEXT:    %[[OWN:.*]] = memref.alloc
// CHECK-NEXT:    linalg.fill ins(%arg1 : f32) outs(%[[OWN]]
// CHECK-NEXT:    %[[ROW:.*]] = memref.subview
// CHECK-NEXT:    memref.copy %[[OWN]], %[[ROW]]

// ELIMINATED-LABEL: func.func @elsewhere
// ELIMINATED-NEXT:    %[[ROW:.*]] = memref.subview %arg0[1, 0] [1, 8] [1, 1]
// ELIMINATED-NEXT:    linalg.fill ins(%arg1 : f32) outs(%[[ROW]]
// ELIMINATED-NEXT:    return
// [elsewhere]
func.func @elsewhere(%t: tensor<4x8xf32>, %f: f32) -> tensor<4x8xf32> {
  %empty = tensor.empty() : tensor<1x8xf32>
  %filled = linalg.fill ins(%f : f32) outs(%empty : tensor<1x8xf32>) -> tensor<1x8xf32>
  %u = tensor.insert_slice %filled into %t[1, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
  return %u : tensor<4x8xf32>
}
// [/elsewhere]
