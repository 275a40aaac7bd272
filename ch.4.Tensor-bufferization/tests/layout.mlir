// The type of a column that is returned depends on what is said about layouts at function boundaries.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" | FileCheck %s --check-prefixes=CHECK,VIEW
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=fully-dynamic-layout-map" | FileCheck %s --check-prefixes=CHECK,VIEW
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s --check-prefixes=CHECK,COPY
// RUN: mlir-opt %s --one-shot-bufferize | FileCheck %s --check-prefixes=CHECK,CASTS

// CHECK-LABEL: func.func @column
// VIEW-SAME:     (%arg0: memref<4x8xf32, strided<[?, ?], offset: ?>>) -> memref<4x1xf32, strided<[?, ?], offset: ?>>
// VIEW-NEXT:     %[[COLUMN:.*]] = memref.subview %arg0[0, 2] [4, 1] [1, 1]
// VIEW-NEXT:     return %[[COLUMN]]
// COPY-SAME:     (%arg0: memref<4x8xf32>) -> memref<4x1xf32>
// COPY:          memref.alloc
// COPY:          memref.copy
// CASTS-SAME:    (%arg0: tensor<4x8xf32>) -> tensor<4x1xf32>
// CASTS:         bufferization.to_buffer
// CASTS:         bufferization.to_tensor
// [column]
func.func @column(%t: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %c = tensor.extract_slice %t[0, 2] [4, 1] [1, 1] : tensor<4x8xf32> to tensor<4x1xf32>
  return %c : tensor<4x1xf32>
}
// [/column]
