//===- NNPatterns.td - a rewrite that needs no C++ -------------------------===//

#ifndef CH9_NN_PATTERNS_TD
#define CH9_NN_PATTERNS_TD

include "ch9/NNOps.td"
include "mlir/IR/PatternBase.td"

// [pattern]
/// linear(x, w) without a bias. Written as a call, since a pattern has no word
/// for an optional operand that is not there.
def NN_LinearOf : NativeCodeCall<"linearOf($_builder, $_loc, $0, $1)">;

/// x @ transpose(w)  ->  linear(x, w): the weight is read as it lies.
def MatmulOfTransposeIsLinear
    : Pat<(NN_MatmulOp $x, (NN_TransposeOp $w)), (NN_LinearOf $x, $w)>;
// [/pattern]

#endif // CH9_NN_PATTERNS_TD
