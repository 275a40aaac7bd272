// packed: the product reads panels of A and B that lie as it reads them (ch10-pack made them).
//
//   C[m, mi, n, ni] += A[m, k, mi] * B[n, k, ni]      mi below 8, ni below 32
//
//   for m:               panel of A packed
//   for n:               panel of B packed: K x 32, stays in the second-level cache
//     for m:
//       acc = 0          a tile of 8 x 32 elements, in registers
//       for k by 4:      acc += A[m, k.., :] * B[n, k.., :]
//       C = epilogue(acc)
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match attributes {ch10.product} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %products : !transform.any_op {
    ^bb0(%product: !transform.any_op):
      // What packs B; nothing, where B is read as it lies: then there is nothing to fuse either.
      %producer = transform.get_producer_of_operand %product[1] : (!transform.any_op) -> !transform.any_op
      %b = transform.structured.match attributes {ch10.pack} in %producer : (!transform.any_op) -> !transform.any_op
      %zeros = transform.get_producer_of_operand %product[2] : (!transform.any_op) -> !transform.any_op
      %epilogue = transform.get_consumers_of_result %product[0] : (!transform.any_op) -> !transform.any_op
      // [fuse]
      // for n: one panel of B is packed, and used for all of A.
      %columns, %n = transform.structured.tile_using_for %epilogue tile_sizes [0, 0, 1, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
      %product_n, %n1 = transform.structured.fuse_into_containing_op %product into %n
          : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
      %zeros_n, %n2 = transform.structured.fuse_into_containing_op %zeros into %n1
          : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
      %panel, %n3 = transform.structured.fuse_into_containing_op %b into %n2
          : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
      // [/fuse]
      // for m: one tile of C.
      %last, %m = transform.structured.tile_using_for %columns tile_sizes [1, 0, 0, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
      %tile, %m1 = transform.structured.fuse_into_containing_op %product_n into %m
          : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
      %zero, %m2 = transform.structured.fuse_into_containing_op %zeros_n into %m1
          : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
      // As a linalg.generic the zeros lose their axes of size 1 too.
      %generic = transform.structured.generalize %zero : (!transform.any_op) -> !transform.any_op
      %step, %k = transform.structured.tile_using_for %tile tile_sizes [0, 0, 4, 0, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
      transform.annotate %m2 "ch10.tile" : !transform.any_op
    }
    // [packs]
    %packs = transform.structured.match attributes {ch10.pack} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %packs : !transform.any_op {
    ^bb0(%pack: !transform.any_op):
      %tile, %loops:2 = transform.structured.tile_using_for %pack tile_sizes [1, 16, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
      transform.structured.vectorize %tile : !transform.any_op
    }
    // [/packs]

    // Without the axes of size 1 they are plain products of [8, 4] and [4, 32]; vectors of what is in the tiles, and of
    // nothing else.
    %function = transform.structured.match ops{["func.func"]} in %root : (!transform.any_op) -> !transform.any_op
    transform.apply_patterns to %function {
      transform.apply_patterns.linalg.fold_unit_extent_dims_via_slices
    } : !transform.any_op
    // A slice of a new tensor is a smaller new tensor: one panel of B, not all.
    transform.apply_patterns to %function {
      transform.apply_patterns.tensor.fold_tensor_empty
    } : !transform.any_op
    %tiles = transform.structured.match ops{["scf.for"]} attributes {ch10.tile} in %root : (!transform.any_op) -> !transform.any_op
    transform.foreach %tiles : !transform.any_op {
    ^bb0(%n: !transform.any_op):
      %inside = transform.structured.match interface{LinalgOp} in %n : (!transform.any_op) -> !transform.any_op
      transform.foreach %inside : !transform.any_op {
      ^bb0(%op: !transform.any_op):
        transform.structured.vectorize %op : !transform.any_op
      }
    }
    transform.apply_patterns to %function {
      transform.apply_patterns.vector.cast_away_vector_leading_one_dim
      transform.apply_patterns.tensor.fold_tensor_subset_ops_into_vector_transfers
      transform.apply_patterns.canonicalization
    } : !transform.any_op
    %loops = transform.structured.match ops{["scf.for"]} in %root : (!transform.any_op) -> !transform.any_op
    transform.loop.hoist_loop_invariant_subsets %loops : !transform.any_op
    transform.apply_patterns to %function {
      transform.apply_patterns.vector.reduction_to_contract
      transform.apply_patterns.vector.transfer_permutation_patterns
    } : !transform.any_op
    transform.apply_patterns to %function {
      transform.apply_patterns.vector.lower_contraction lowering_strategy = "outerproduct"
    } : !transform.any_op
    transform.apply_patterns to %function {
      transform.apply_patterns.vector.lower_outerproduct
    } : !transform.any_op
    transform.yield
  }
}
