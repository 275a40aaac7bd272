// A printed form of its own. The types of operand and result need not agree yet.
// RUN: nn3-opt %s | FileCheck %s

// CHECK-LABEL: @f
// CHECK:         nn.relu %arg0 : tensor<4xf32> -> tensor<4xf32>
// CHECK:         nn.relu %arg0 {why = "no reason"} : tensor<4xf32> -> tensor<9x9xf32>
func.func @f(%x: tensor<4xf32>) {
  %0 = "nn.relu"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.relu %x {why = "no reason"} : tensor<4xf32> -> tensor<9x9xf32>
  return
}
