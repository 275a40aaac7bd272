// Every op prints as it is read, and result types are inferred.
// RUN: ch11-opt %s | ch11-opt | FileCheck %s
// RUN: ch11-opt --mlir-print-op-generic %s | ch11-opt | FileCheck %s

// CHECK-LABEL: func.func @all
func.func @all(%v: tensor<8xf32>, %m: tensor<4x8xf32>, %t: tensor<2x4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: transformer.add %{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<8xf32>
  %0 = transformer.add %m, %v : tensor<4x8xf32>, tensor<8xf32>
  // CHECK: transformer.mul %{{.*}}, %{{.*}} : tensor<8xf32>, tensor<8xf32>
  %1 = transformer.mul %v, %v : tensor<8xf32>, tensor<8xf32>
  // CHECK: transformer.scale %{{.*}} by -1.500000e+00 : tensor<2x4x8xf32>
  %2 = transformer.scale %t by -1.5 : tensor<2x4x8xf32>
  // CHECK: transformer.transpose %{{.*}} [0, 2, 1] : tensor<2x4x8xf32>
  %3 = transformer.transpose %2 [0, 2, 1] : tensor<2x4x8xf32>
  // CHECK: transformer.matmul %{{.*}}, %{{.*}} : tensor<2x8x4xf32>, tensor<2x4x8xf32>
  %4 = transformer.matmul %3, %t : tensor<2x8x4xf32>, tensor<2x4x8xf32>
  // CHECK: transformer.softmax %{{.*}} : tensor<2x8x8xf32>
  %5 = transformer.softmax %4 : tensor<2x8x8xf32>
  // CHECK: transformer.attention %{{.*}}, %{{.*}}, %{{.*}} heads 2 : tensor
  %6 = transformer.attention %m, %m, %m heads 2 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  // CHECK: transformer.attention %{{.*}}, %{{.*}}, %{{.*}} heads 4 causal {note = "kept"} : tensor
  %7 = transformer.attention %6, %m, %m heads 4 causal {note = "kept"} : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  return %7 : tensor<4x8xf32>
}
