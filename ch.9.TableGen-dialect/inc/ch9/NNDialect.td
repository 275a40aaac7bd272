//===- NNDialect.td - the dialect nn: its name, its types, its ops' base ---===//
//
// First of four .td files:
//
//   NNDialect.td  ->  NNOps.td  ->  NNPatterns.td     Passes.td
//   name, types       the ops       rewrites          the passes
//
//===----------------------------------------------------------------------===//

#ifndef CH9_NN_DIALECT_TD
#define CH9_NN_DIALECT_TD

include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/OpBase.td"

// [dialect]
def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nn";
  let summary = "layers of a small neural network, on tensors of f32";
  let description = [{
    Ops have value semantics: they read tensors and make new ones. Each lowers
    to linalg on tensors.
  }];
  // Folding may turn an op into a constant; this says which op holds one.
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}
// [/dialect]

// [types]
def NN_Vector : 1DTensorOf<[F32]>;
def NN_Matrix : 2DTensorOf<[F32]>;
def NN_Tensor : TensorRankOf<[F32], [1, 2]>;
// [/types]

class NN_Op<string mnemonic, list<Trait> traits = []>
    : Op<NN_Dialect, mnemonic, traits>;

#endif // CH9_NN_DIALECT_TD
