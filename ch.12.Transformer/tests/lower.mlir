// What --ch12-lower makes of each op.
// RUN: ch12-opt --ch12-lower --split-input-file %s | FileCheck %s
// RUN: ch12-opt --ch12-pipeline --split-input-file %s | FileCheck %s --check-prefix=LLVM

// Mean, centered, variance from the centered, normalized; and the mean is taken of x only.
// CHECK-LABEL: func.func @layer_norm
// CHECK-SAME:      %[[X:.*]]: tensor<4x8xf32>, %[[GAMMA:.*]]: tensor<8xf32>, %[[BETA:.*]]: tensor<8xf32>
// CHECK:         %[[EPSILON:.*]] = arith.constant 9.99999974E-6
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} "reduction"]} ins(%[[X]] : tensor<4x8xf32>) outs({{.*}} : tensor<4xf32>)
// CHECK:         %[[MEAN:.*]] = linalg.generic {{.*}} ins(%[[SUM]] :
// CHECK:           arith.divf
// CHECK:         %[[CENTERED:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[MEAN]] :
// CHECK:           arith.subf
// CHECK:         %[[SQUARES:.*]] = linalg.generic {{.*}} "reduction"]} ins(%[[CENTERED]] :
// CHECK:           %[[SQUARE:.*]] = arith.mulf %[[E:.*]], %[[E]]
// CHECK:         %[[VARIANCE:.*]] = linalg.generic {{.*}} ins(%[[SQUARES]] :
// CHECK:           arith.divf
// CHECK:         %[[DEVIATION:.*]] = linalg.generic {{.*}} ins(%[[VARIANCE]] :
// CHECK:           arith.addf %{{.*}}, %[[EPSILON]]
// CHECK:           math.sqrt
// CHECK:         linalg.generic {{.*}} ins(%[[CENTERED]], %[[DEVIATION]], %[[GAMMA]], %[[BETA]] :
// CHECK:           arith.divf
// CHECK:           arith.mulf
// CHECK:           arith.addf
// CHECK-NOT:     transformer.
// LLVM-LABEL:  llvm.func @layer_norm
// LLVM-NOT:    transformer.
func.func @layer_norm(%x: tensor<4x8xf32>, %gamma: tensor<8xf32>, %beta: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.layer_norm %x, %gamma, %beta epsilon 1.0e-5 : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// The weight is not transposed: x is, and the result.
// CHECK-LABEL: func.func @linear
// CHECK-SAME:      %[[X:.*]]: tensor<4x8xf32>, %[[W:.*]]: tensor<16x8xf32>, %[[B:.*]]: tensor<16xf32>
// CHECK-NEXT:    %[[XT:.*]] = transformer.transpose %[[X]] [1, 0]
// CHECK-NEXT:    %[[YT:.*]] = transformer.matmul %[[W]], %[[XT]] : tensor<16x8xf32>, tensor<8x4xf32>
// CHECK-NEXT:    %[[Y:.*]] = transformer.transpose %[[YT]] [1, 0]
// CHECK-NEXT:    transformer.add %[[Y]], %[[B]] : tensor<4x16xf32>, tensor<16xf32>
// CHECK-NEXT:    return
func.func @linear(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<4x16xf32> {
  %0 = transformer.linear %x, %w, %b : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

// CHECK-LABEL: func.func @gelu
// CHECK:         linalg.generic
// CHECK:           math.exp
// CHECK-NOT:     math.tanh
// CHECK-NOT:     transformer.
func.func @gelu(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.gelu %x : tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// ch.11's ops are left to ch.11.
// CHECK-LABEL: func.func @others
// CHECK-NEXT:    transformer.softmax
// CHECK-NEXT:    transformer.attention
// CHECK-NEXT:    return
// LLVM-LABEL:  llvm.func @others
// LLVM-NOT:    transformer.
func.func @others(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = transformer.softmax %x : tensor<4x8xf32>
  %1 = transformer.attention %0, %x, %x heads 2 : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// Any number of rows.
// CHECK-LABEL: func.func @dynamic
// CHECK:         transformer.matmul %{{.*}} : tensor<16x8xf32>, tensor<8x?xf32>
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?xf32>)
func.func @dynamic(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %b: tensor<16xf32>) -> tensor<?x16xf32> {
  %0 = transformer.linear %x, %w, %b : tensor<?x8xf32>, tensor<16x8xf32>, tensor<16xf32>
  %1 = transformer.layer_norm %0, %b, %b epsilon 1.0e-5 : tensor<?x16xf32>, tensor<16xf32>, tensor<16xf32>
  return %1 : tensor<?x16xf32>
}
