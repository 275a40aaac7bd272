// RUN: ch14-opt --ch14-lower-append %s | FileCheck %s

// CHECK-LABEL: func.func @append
// CHECK-SAME:    %[[PAST:.*]]: tensor<5x8xf32>, %[[NEXT:.*]]: tensor<2x8xf32>
// CHECK:         %[[EMPTY:.*]] = tensor.empty() : tensor<7x8xf32>
// CHECK:         %[[FIRST:.*]] = tensor.insert_slice %[[PAST]] into %[[EMPTY]][0, 0] [5, 8] [1, 1]
// CHECK:         %[[BOTH:.*]] = tensor.insert_slice %[[NEXT]] into %[[FIRST]][5, 0] [2, 8] [1, 1]
// CHECK:         return %[[BOTH]]
func.func @append(%past: tensor<5x8xf32>, %next: tensor<2x8xf32>) -> tensor<7x8xf32> {
  %0 = transformer.append %past, %next : tensor<5x8xf32>, tensor<2x8xf32>
  return %0 : tensor<7x8xf32>
}

// An unknown number of rows is left for whoever knows it.
// CHECK-LABEL: func.func @unknown
// CHECK:         transformer.append
// CHECK-NOT:     insert_slice
func.func @unknown(%past: tensor<?x8xf32>, %next: tensor<2x8xf32>) -> tensor<?x8xf32> {
  %0 = transformer.append %past, %next : tensor<?x8xf32>, tensor<2x8xf32>
  return %0 : tensor<?x8xf32>
}
