// The same with a look in between. `mlir-opt --transform-interpreter print.mlir`
module attributes {transform.with_named_sequence} {
  func.func @product(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>, %c: tensor<64x64xf32>) -> tensor<64x64xf32> {
    %d = linalg.matmul ins(%a, %b : tensor<64x64xf32>, tensor<64x64xf32>) outs(%c : tensor<64x64xf32>) -> tensor<64x64xf32>
    return %d : tensor<64x64xf32>
  }

  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    // [print]
    transform.foreach %products : !transform.any_op {
    ^bb0(%product: !transform.any_op):
      %tile, %i, %j = transform.structured.tile_using_for %product tile_sizes [8, 32, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
      transform.print %tile {name = "tile"} : !transform.any_op
      transform.structured.vectorize %tile : !transform.any_op
      transform.apply_patterns to %j {
        transform.apply_patterns.tensor.fold_tensor_subset_ops_into_vector_transfers
      } : !transform.any_op
      transform.print %j {name = "loop"} : !transform.any_op
    }
    // [/print]
    transform.yield
  }
}
