// An op without anything: any type will do, and nobody may touch it.
// RUN: nn2-opt --canonicalize --cse %s | FileCheck %s

// CHECK-LABEL: @f
// CHECK:         "nn.relu"(%arg0) : (tensor<4xf32>) -> tensor<4xf32>
// CHECK:         "nn.relu"(%arg0) : (tensor<4xf32>) -> tensor<4xf32>
// CHECK:         "nn.relu"(%arg1) {why = "no reason"} : (i32) -> memref<2xf64>
func.func @f(%x: tensor<4xf32>, %n: i32) -> tensor<4xf32> {
  %0 = "nn.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = "nn.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %2 = "nn.relu"(%n) {why = "no reason"} : (i32) -> memref<2xf64>
  return %0 : tensor<4xf32>
}
