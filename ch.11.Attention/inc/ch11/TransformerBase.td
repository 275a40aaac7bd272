//===- TransformerBase.td - what every op of the dialect shares ------------===//
//
// The dialect `transformer`, the base class of its ops and the types they take.
// No ops: ch.11 defines its ops in TransformerOps.td, ch.12 to ch.14 each in a
// file of their own, and all of them include this one.
//
//===----------------------------------------------------------------------===//

#ifndef CH11_TRANSFORMER_BASE_TD
#define CH11_TRANSFORMER_BASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Transformer_Dialect : Dialect {
  let name = "transformer";
  let cppNamespace = "::transformer";
  let summary = "what a transformer is made of, on tensors of f32";
  let description = [{
    Ops have value semantics: they read tensors and make new ones. Every op
    lowers to linalg on tensors or to other ops of the dialect.

    A chapter that adds ops registers them from a registry extension:

    ```cpp
    registry.addExtension(+[](MLIRContext *, TransformerDialect *dialect) {
      dialect->registerOps<LayerNormOp, GeluOp>();
    });
    ```
  }];
  // [register-ops]
  let extraClassDeclaration = [{
    /// Adds ops to the dialect from outside of its own library.
    template <typename... Ops>
    void registerOps() {
      addOperations<Ops...>();
    }
  }];
  // [/register-ops]
}

class Transformer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Transformer_Dialect, mnemonic, traits>;

// [types]
def Transformer_Vector : 1DTensorOf<[F32]>;
def Transformer_Matrix : 2DTensorOf<[F32]>;
/// A matrix, or one matrix for each head.
def Transformer_Matrices : TensorRankOf<[F32], [2, 3]>;
def Transformer_Tensor : TensorRankOf<[F32], [1, 2, 3]>;
// [/types]

#endif // CH11_TRANSFORMER_BASE_TD
