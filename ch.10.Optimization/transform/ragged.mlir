// 63 is no multiple of 8: the last tile is smaller, so no tile has a fixed size, and a vector must have one.
module attributes {transform.with_named_sequence} {
  func.func @product(%a: tensor<63x64xf32>, %b: tensor<64x64xf32>, %c: tensor<63x64xf32>) -> tensor<63x64xf32> {
    %d = linalg.matmul ins(%a, %b : tensor<63x64xf32>, tensor<64x64xf32>) outs(%c : tensor<63x64xf32>) -> tensor<63x64xf32>
    return %d : tensor<63x64xf32>
  }
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %product = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    %tile, %i, %j = transform.structured.tile_using_for %product tile_sizes [8, 32, 0]
        : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    // [ragged]
    transform.structured.vectorize %tile : !transform.any_op
    // [/ragged]
    transform.yield
  }
}
