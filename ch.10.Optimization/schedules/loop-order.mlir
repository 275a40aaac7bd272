// loop-order: the sum over k moves out of the innermost loop.
//
//   for i, j, k:  C[i,j] += A[i,k] * B[k,j]   ->   for i, k, j:  the same
//
// Neighbouring j are independent, so LLVM fills vectors with them; each C[i,j] still adds in the order of k.
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %products = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    // [order]
    transform.foreach %products : !transform.any_op {
    ^bb0(%product: !transform.any_op):
      %generic = transform.structured.generalize %product : (!transform.any_op) -> !transform.any_op
      %swapped = transform.structured.interchange %generic iterator_interchange = [0, 2, 1] : (!transform.any_op) -> !transform.any_op
    }
    // [/order]
    transform.yield
  }
}
