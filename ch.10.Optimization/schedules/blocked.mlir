// blocked: "registers", for 64 columns of B at a time: K x 64 floats stay in the second-level cache, and all of A passes
// by them.
//
//   for J by 64:
//    for i by 8, j by 32:
//     acc = C[i.., j..]                     16 registers of 16 floats
//     for k by 4:  acc += A[i.., k..] * B[k.., j..]
//     C[i.., j..] = acc
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    // The tile: these are AVX-512's; ch10-schedule puts the machine's own in their place.
    %r = transform.param.constant 8 : i64 {ch10.rows} -> !transform.param<i64>
    %c = transform.param.constant 32 : i64 {ch10.columns} -> !transform.param<i64>
    transform.foreach %products : !transform.any_op {
    ^bb0(%product: !transform.any_op):
      // [block]
      %block, %blocks = transform.structured.tile_using_for %product tile_sizes [0, 64, 0]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
      // [/block]
      %tile, %rows, %columns = transform.structured.tile_using_for %block tile_sizes [%r, %c, 0]
          : (!transform.any_op, !transform.param<i64>, !transform.param<i64>) -> (!transform.any_op, !transform.any_op, !transform.any_op)
      %step, %sum = transform.structured.tile_using_for %tile tile_sizes [0, 0, 4]
          : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
      transform.structured.vectorize %step : !transform.any_op
    }
    %function = transform.structured.match ops{["func.func"]} in %root : (!transform.any_op) -> !transform.any_op
    transform.apply_patterns to %function {
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
    // In a set of its own: together with the patterns above it does not end.
    transform.apply_patterns to %function {
      transform.apply_patterns.vector.lower_outerproduct
    } : !transform.any_op
    transform.yield
  }
}
