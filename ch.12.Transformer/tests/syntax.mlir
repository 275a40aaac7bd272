// Every op prints as it is read, beside ch.11's in one dialect.
// RUN: ch12-opt %s | ch12-opt | FileCheck %s
// RUN: ch12-opt --mlir-print-op-generic %s | ch12-opt | FileCheck %s
// Without the extension the dialect does not know them.
// RUN: not ch11-opt %s 2>&1 | FileCheck %s --check-prefix=CH11

// CHECK-LABEL: func.func @all
func.func @all(%x: tensor<4x8xf32>, %w: tensor<6x8xf32>, %v: tensor<8xf32>, %b: tensor<6xf32>) -> tensor<4x6xf32> {
  // CHECK: transformer.layer_norm %{{.*}}, %{{.*}}, %{{.*}} epsilon 5.000000e-01 : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>
  // CH11: error: custom op 'transformer.layer_norm' is unknown
  %0 = transformer.layer_norm %x, %v, %v epsilon 0.5 : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>
  // CHECK: transformer.linear %{{.*}}, %{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<6x8xf32>, tensor<6xf32>
  %1 = transformer.linear %0, %w, %b : tensor<4x8xf32>, tensor<6x8xf32>, tensor<6xf32>
  // CHECK: transformer.gelu %{{.*}} : tensor<4x6xf32>
  %2 = transformer.gelu %1 : tensor<4x6xf32>
  // CHECK: transformer.add
  %3 = transformer.add %2, %1 : tensor<4x6xf32>, tensor<4x6xf32>
  return %3 : tensor<4x6xf32>
}
