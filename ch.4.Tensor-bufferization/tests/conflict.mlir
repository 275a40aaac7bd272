// A value that is read after a write to a value made from it: the write needs a buffer of its own.
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries test-analysis-only print-conflicts" | FileCheck %s --check-prefix=ANALYSIS
// RUN: mlir-opt %s --one-shot-bufferize="bufferize-function-boundaries" --canonicalize | FileCheck %s

// ANALYSIS-LABEL: func.func @read_late
// ANALYSIS-SAME:    "C_0[DEF: bbArg 0]"
// ANALYSIS:         tensor.insert {{.*}} {"C_0[CONFL-WRITE: 1]", __inplace_operands_attr__ = ["none", "false", "none"]}
// ANALYSIS:         tensor.extract {{.*}} {"C_0[READ: 0]"

// CHECK-LABEL: func.func @read_late
// CHECK:         %[[OWN:.*]] = memref.alloc
// CHECK-NEXT:    memref.copy %arg0, %[[OWN]]
// CHECK-NEXT:    memref.store %arg1, %[[OWN]][%arg2]
// CHECK-NEXT:    memref.load %arg0[%arg2]
// [read-late]
func.func @read_late(%t: tensor<4xf32>, %f: f32, %i: index) -> (tensor<4xf32>, f32) {
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  %old = tensor.extract %t[%i] : tensor<4xf32>
  return %u, %old : tensor<4xf32>, f32
}
// [/read-late]

// ANALYSIS-LABEL: func.func @read_early
// ANALYSIS:         tensor.insert {{.*}} {__inplace_operands_attr__ = ["none", "true", "none"]}

// CHECK-LABEL: func.func @read_early
// CHECK-NEXT:    memref.load %arg0[%arg2]
// CHECK-NEXT:    memref.store %arg1, %arg0[%arg2]
// CHECK-NOT:     memref.alloc
// [read-early]
func.func @read_early(%t: tensor<4xf32>, %f: f32, %i: index) -> (tensor<4xf32>, f32) {
  %old = tensor.extract %t[%i] : tensor<4xf32>
  %u = tensor.insert %f into %t[%i] : tensor<4xf32>
  return %u, %old : tensor<4xf32>, f32
}
// [/read-early]
