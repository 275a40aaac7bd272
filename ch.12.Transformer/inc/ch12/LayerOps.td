//===- LayerOps.td - what ch.12 adds to the transformer dialect ------------===//
//
//   layer_norm linear gelu
//
// The dialect, the base class and the types are ch.11's. Everything else of a
// transformer block is composed from these ops and ch.11's.
//
//===----------------------------------------------------------------------===//

#ifndef CH12_LAYER_OPS_TD
#define CH12_LAYER_OPS_TD

include "ch11/TransformerBase.td"

// [layer-norm]
def Transformer_LayerNormOp
    : Transformer_Op<"layer_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rows of mean 0 and variance 1, then scaled and shifted";
  let description = [{
    (x - mean(x)) / sqrt(variance(x) + epsilon) * gamma + beta, where mean and
    variance (the sum of squares divided by the width) are those of the row.

    ```mlir
    %y = transformer.layer_norm %x, %gamma, %beta epsilon 9.99999974E-6
        : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$input, Transformer_Vector:$gamma,
                       Transformer_Vector:$beta, F32Attr:$epsilon);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $input `,` $gamma `,` $beta `epsilon` $epsilon attr-dict
    `:` type($input) `,` type($gamma) `,` type($beta)
  }];
  let hasVerifier = 1;
}
// [/layer-norm]

def Transformer_LinearOp
    : Transformer_Op<"linear", [Pure, InferTypeOpAdaptor]> {
  let summary = "x w^T + b, with the weight stored as [out, in]";
  let description = [{
    An op and not a composition because its lowering has a choice: the product
    is computed as (w x^T)^T, so that the weight is read as it is stored.

    ```mlir
    %y = transformer.linear %x, %w, %b
        : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$input, Transformer_Matrix:$weight,
                       Transformer_Vector:$bias);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $input `,` $weight `,` $bias attr-dict
    `:` type($input) `,` type($weight) `,` type($bias)
  }];
  let hasVerifier = 1;
}

def Transformer_GeluOp
    : Transformer_Op<"gelu", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "Gaussian error linear unit, tanh form";
  let description = [{
    x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).

    ```mlir
    %y = transformer.gelu %x : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Transformer_Tensor:$input);
  let results = (outs Transformer_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

#endif // CH12_LAYER_OPS_TD
