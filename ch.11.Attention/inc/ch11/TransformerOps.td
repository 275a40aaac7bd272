//===- TransformerOps.td - the ops of ch.11 --------------------------------===//
//
//   add mul scale      element by element
//   matmul transpose   one matrix, or one for each head
//   softmax            over the last axis
//   attention          all of the above; decomposed before lowering
//
//===----------------------------------------------------------------------===//

#ifndef CH11_TRANSFORMER_OPS_TD
#define CH11_TRANSFORMER_OPS_TD

include "ch11/TransformerBase.td"

/// `rhs` is a tensor of the same shape, or one row that is used for all rows.
class Transformer_BinaryOp<string mnemonic>
    : Transformer_Op<mnemonic, [Pure, AllTypesMatch<["lhs", "result"]>]> {
  let arguments = (ins Transformer_Tensor:$lhs, Transformer_Tensor:$rhs);
  let results = (outs Transformer_Tensor:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
}

def Transformer_AddOp : Transformer_BinaryOp<"add"> {
  let summary = "elementwise sum";
  let description = [{
    `rhs` has the shape of `lhs`, or it is a vector as long as the last axis of
    `lhs` and is added to every row.

    ```mlir
    %y = transformer.add %x, %bias : tensor<4x8xf32>, tensor<8xf32>
    ```
  }];
}

def Transformer_MulOp : Transformer_BinaryOp<"mul"> {
  let summary = "elementwise product";
  let description = [{
    Shapes as for `transformer.add`.

    ```mlir
    %y = transformer.mul %x, %x : tensor<4x8xf32>, tensor<4x8xf32>
    ```
  }];
}

def Transformer_ScaleOp
    : Transformer_Op<"scale", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "product with one constant";
  let description = [{
    ```mlir
    %y = transformer.scale %x by 1.250000e-01 : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Transformer_Tensor:$input, F32Attr:$factor);
  let results = (outs Transformer_Tensor:$result);
  let assemblyFormat = "$input `by` $factor attr-dict `:` type($input)";
}

// [matmul]
def Transformer_MatmulOp
    : Transformer_Op<"matmul", [Pure, InferTypeOpAdaptor]> {
  let summary = "matrix product, of one pair or of one pair for each head";
  let description = [{
    ```mlir
    %c = transformer.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
    %s = transformer.matmul %q, %k : tensor<2x4x8xf32>, tensor<2x8x4xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrices:$lhs, Transformer_Matrices:$rhs);
  let results = (outs Transformer_Matrices:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
}
// [/matmul]

def Transformer_TransposeOp
    : Transformer_Op<"transpose", [Pure, InferTypeOpAdaptor]> {
  let summary = "reorders the axes";
  let description = [{
    Axis `i` of the result is axis `permutation[i]` of the input.

    ```mlir
    %t = transformer.transpose %x [1, 0] : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrices:$input,
                       DenseI64ArrayAttr:$permutation);
  let results = (outs Transformer_Matrices:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input)";
  let hasVerifier = 1;
}

def Transformer_SoftmaxOp
    : Transformer_Op<"softmax", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "softmax over the last axis";
  let description = [{
    `exp(x - max) / sum(exp(x - max))` of each row. An element of -inf becomes 0;
    a row of nothing but -inf becomes NaN, as in NumPy and PyTorch.

    ```mlir
    %p = transformer.softmax %s : tensor<4x4xf32>
    ```
  }];
  let arguments = (ins Transformer_Tensor:$input);
  let results = (outs Transformer_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def Transformer_AttentionOp
    : Transformer_Op<"attention", [Pure, InferTypeOpAdaptor]> {
  let summary = "scaled dot-product attention in one or more heads";
  let description = [{
    Splits the columns of `q` [T, D], `k` [S, D] and `v` [S, E] into `num_heads`
    groups. In each group: softmax(q k^T / sqrt(D / num_heads)) v. The groups are
    joined again: the result is [T, E]. With `causal`, row t sees the keys
    0 to t only, and there must be as many keys as queries; with `past` P, the
    queries stand after P earlier tokens: row t sees the keys 0 to P + t, and
    S must be P + T.

    ```mlir
    %o = transformer.attention %q, %k, %v heads 4 causal
        : tensor<9x32xf32>, tensor<9x32xf32>, tensor<9x32xf32>
    ```
  }];
  // [attention]
  let arguments = (ins Transformer_Matrix:$q, Transformer_Matrix:$k,
                       Transformer_Matrix:$v,
                       ConfinedAttr<I64Attr, [IntPositive]>:$num_heads,
                       UnitAttr:$causal,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$past);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v `heads` $num_heads (`causal` $causal^)? (`past` $past^)? attr-dict
    `:` type($q) `,` type($k) `,` type($v)
  }];
  let hasVerifier = 1;
  // [/attention]
}

#endif // CH11_TRANSFORMER_OPS_TD
