// Exercise 1: what comes after, on the tile.
//
// exp(a @ b), and the schedule cuts only the exp into tiles of 8 x 32: the product is computed whole before, and the zeros
// before that. Let each tile be filled with zeros, multiplied and exponentiated before the next one begins. Look the
// producers up (transform.get_producer_of_operand), and pull them into the inner loop
// (transform.structured.fuse_into_containing_op).
module attributes {transform.with_named_sequence} {
  func.func @product(%a: tensor<96x64xf32>, %b: tensor<64x96xf32>) -> tensor<96x96xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<96x96xf32>
    %c = linalg.fill ins(%zero : f32) outs(%empty : tensor<96x96xf32>) -> tensor<96x96xf32>
    %d = linalg.matmul ins(%a, %b : tensor<96x64xf32>, tensor<64x96xf32>) outs(%c : tensor<96x96xf32>) -> tensor<96x96xf32>
    %e = linalg.exp ins(%d : tensor<96x96xf32>) outs(%empty : tensor<96x96xf32>) -> tensor<96x96xf32>
    return %e : tensor<96x96xf32>
  }

  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %exp = transform.structured.match ops{["linalg.exp"]} in %root : (!transform.any_op) -> !transform.any_op
    %tile, %i, %j = transform.structured.tile_using_for %exp tile_sizes [8, 32]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
