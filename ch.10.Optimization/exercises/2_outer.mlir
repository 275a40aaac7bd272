// Exercise 2: another order of the loops.
//
// This is the rung "loop-order": for i, for k, for j. Make it for k, for i, for j: the product as a sum of 64 outer
// products. Predict first: is it faster or slower, and on which sizes?
module attributes {transform.with_named_sequence} {
  func.func @product(%a: tensor<96x64xf32>, %b: tensor<64x96xf32>) -> tensor<96x96xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<96x96xf32>
    %c = linalg.fill ins(%zero : f32) outs(%empty : tensor<96x96xf32>) -> tensor<96x96xf32>
    %d = linalg.matmul ins(%a, %b : tensor<96x64xf32>, tensor<64x96xf32>) outs(%c : tensor<96x96xf32>) -> tensor<96x96xf32>
    return %d : tensor<96x96xf32>
  }

  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %product = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    %generic = transform.structured.generalize %product : (!transform.any_op) -> !transform.any_op
    %ordered = transform.structured.interchange %generic iterator_interchange = [0, 2, 1] : (!transform.any_op) -> !transform.any_op
    transform.yield
  }
}
