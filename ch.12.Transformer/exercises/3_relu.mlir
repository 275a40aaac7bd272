// Exercise 3: an op of your own, transformer.relu, from the .td to Python. Add it to LayerOps.td, lower it in
// lowering.cpp (elementwise, arith.maximumf with 0), give it a function relu() in ops.cpp and python.cpp.
// Check: python3 exercises/check.py 3
// RUN: ch12-opt --ch12-lower %s | FileCheck %s

// CHECK-LABEL: func.func @relu
// CHECK:         linalg.generic
// CHECK:           arith.maximumf
// CHECK-NOT:     transformer.
func.func @relu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.relu %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
