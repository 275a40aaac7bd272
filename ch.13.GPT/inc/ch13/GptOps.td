//===- GptOps.td - the ops that ch.13 adds to the dialect ------------------===//
//
//   embedding        token ids -> rows of a table
//   columns          a range of columns: q, k or v out of [q | k | v]
//   causal_mask      0 on and below the diagonal, -inf above
//   masked_softmax   softmax(input + mask)
//   rope             rotary positions
//
//===----------------------------------------------------------------------===//

#ifndef CH13_GPT_OPS_TD
#define CH13_GPT_OPS_TD

include "ch11/TransformerBase.td"

// [embedding]
def Gpt_Ids : 1DTensorOf<[I32]>;

def Gpt_EmbeddingOp : Transformer_Op<"embedding", [Pure, InferTypeOpAdaptor]> {
  let summary = "the rows of a table that a vector of ids names";
  let description = [{
    Row t of the result is row `ids[t]` of `table`. An id below 0 or past the
    last row reads memory that is not the table's: whoever calls the compiled
    function checks the ids first.

    ```mlir
    %x = transformer.embedding %table[%ids] : tensor<101x36xf32>, tensor<5xi32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$table, Gpt_Ids:$ids);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $table `[` $ids `]` attr-dict `:` type($table) `,` type($ids)
  }];
}
// [/embedding]

def Gpt_ColumnsOp : Transformer_Op<"columns", [Pure, InferTypeOpAdaptor]> {
  let summary = "a range of columns";
  let description = [{
    The columns `first` to `first + count - 1` of a matrix. After bufferization
    it is a view: nothing is copied.

    ```mlir
    %k = transformer.columns %qkv from 36 count 36 : tensor<5x108xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$input,
                       ConfinedAttr<I64Attr, [IntNonNegative]>:$first,
                       ConfinedAttr<I64Attr, [IntPositive]>:$count);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $input `from` $first `count` $count attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}

def Gpt_CausalMaskOp : Transformer_Op<"causal_mask", [Pure]> {
  let summary = "0 on and below the diagonal, -inf above";
  let description = [{
    Added to attention scores, it hides from each token the ones that follow:
    exp(-inf) is 0.

    ```mlir
    %m = transformer.causal_mask : tensor<5x5xf32>
    ```
  }];
  let results = (outs 2DTensorOf<[F32]>:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Gpt_MaskedSoftmaxOp
    : Transformer_Op<"masked_softmax",
                     [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "softmax over the last axis of input + mask";
  let description = [{
    `input` is one matrix or one for each head; the mask has the shape of one
    matrix. A row whose every element is masked becomes NaN.

    ```mlir
    %p = transformer.masked_softmax %s, %m : tensor<5x5xf32>, tensor<5x5xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrices:$input, Transformer_Matrix:$mask);
  let results = (outs Transformer_Matrices:$result);
  let assemblyFormat = [{
    $input `,` $mask attr-dict `:` type($input) `,` type($mask)
  }];
  let hasVerifier = 1;
}

// [rope]
def Gpt_RopeOp
    : Transformer_Op<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding";
  let description = [{
    The columns are split into `num_heads` groups of width W. In each group the
    pair (2i, 2i + 1) of row t is a point of the plane, and is turned by the
    angle t * base^(-2i / W). With `from` P, row t stands at position P + t.

    ```mlir
    %y = transformer.rope %x heads 2 base 1.000000e+04 : tensor<5x8xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$input,
                       ConfinedAttr<I64Attr, [IntPositive]>:$num_heads,
                       F32Attr:$base,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$first);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = [{
    $input `heads` $num_heads `base` $base (`from` $first^)? attr-dict `:` type($input)
  }];
  let hasVerifier = 1;
}
// [/rope]

#endif // CH13_GPT_OPS_TD
