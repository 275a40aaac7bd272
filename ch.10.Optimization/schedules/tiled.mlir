// tiled: 64 x 64 x 64 elements at a time, so that what is read again is still in the cache.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %products : !transform.any_op {
    ^bb0(%product: !transform.any_op):
      %tile, %loops:3 = transform.structured.tile_using_for %product tile_sizes [64, 64, 64]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op, !transform.any_op)
      %generic = transform.structured.generalize %tile : (!transform.any_op) -> !transform.any_op
      %swapped = transform.structured.interchange %generic iterator_interchange = [0, 2, 1] : (!transform.any_op) -> !transform.any_op
    }
    transform.yield
  }
}
