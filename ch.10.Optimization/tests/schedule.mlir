// A schedule is put into the module, does its work, and is taken out again.
// RUN: ch10-opt "--ch10-schedule=name=loop-order" %s | FileCheck %s --check-prefix=PUT
// RUN: ch10-opt "--ch10-schedule=name=loop-order" --transform-interpreter --ch10-drop-schedule %s | FileCheck %s
// RUN: not ch10-opt "--ch10-schedule=name=packd" %s 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not ch10-opt --ch10-schedule %s 2>&1 | FileCheck %s --check-prefix=UNNAMED

// PUT:     module attributes {transform.with_named_sequence}
// PUT:     linalg.matmul
// PUT:     transform.named_sequence @__transform_main

// CHECK-NOT: transform.
// CHECK:     linalg.generic {{.+}}["parallel", "reduction", "parallel"]

// UNKNOWN: error: there is no schedule 'packd'
// UNNAMED: error: there is no schedule ''
func.func @f(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = linalg.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}
