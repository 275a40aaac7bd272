//===- StepOps.td - the ops of one inference step --------------------------===//
//
// ch.11 to ch.13 compute on tensors: every op makes a new value. A step of
// inference is different: weights and the KV cache live across calls, the cache is
// written in place, and the caller owns all memory. So these ops of the dialect
// `transformer` read and write buffers, one row for each token of a flat batch.
//
//   T   tokens in the batch, of any number of sequences (dynamic)
//   nr  width of a weight panel: what one register tile computes
//
//===----------------------------------------------------------------------===//

#ifndef CH14_STEP_OPS_TD
#define CH14_STEP_OPS_TD

include "ch11/TransformerBase.td"

// Buffers may be views with any strides; only the sizes matter to the verifiers.
class Rows<list<Type> types> : MemRefRankOf<types, [2]>;
def Step_Rows : Rows<[F32]>;
def Step_Vector : MemRefRankOf<[F32], [1]>;
// Rows as a product takes them: float32, or made ready by rows_quantize.
def Step_Factors : Rows<[F32, BF16, I16]>;
def Step_Panels : MemRefRankOf<[F32, BF16, I8], [3]>;
def Step_Cache : MemRefRankOf<[F32], [4]>;
def Step_Indices : MemRefRankOf<[I32], [1]>;
def Step_Table : MemRefRankOf<[I32], [2]>;

def Transformer_RowsLinearOp : Transformer_Op<"rows_linear", [AttrSizedOperandSegments]> {
  let summary = "rows times packed weights, with an epilogue";
  let description = [{
    `out[t, n] = epilogue(sum over k of x[t, k] * w[k, n])`. The element types say
    how it is computed and how the weights are packed in panels of nr columns:

    | x    | weight                  | `w[k, n]` is                              | sum |
    |------|-------------------------|-------------------------------------------|-----|
    | f32  | f32, bf16 [N/nr, K, nr] | `weight[n / nr, k, n % nr]`               | f32, k from first to last |
    | bf16 | bf16 [N/nr, K/2, 2 nr]  | `weight[n / nr, k / 2, n % nr * 2 + k % 2]` | f32, pair after pair |
    | i16  | i8 [N/nr, K/2, 2 nr]    | the same                                  | i32, exact |

    A sum of integers is multiplied by `row_scales[t]` and `column_scales[n]`. The
    order of summation is the same for every number of rows. The epilogue adds the
    bias, then applies `gelu` (tanh form), then adds what `out` held (`accumulate`).
    As lowered here, gelu is within 2.6 ulp of the true value for arguments from 0 on,
    6.5 ulp from -1 on, and 6.4e-7 below.

    ```mlir
    transformer.rows_linear %x, %w bias %b into %out {gelu}
        : memref<?x64xf32>, memref<8x64x32xf32>, memref<?x256xf32>, memref<256xf32>
    ```
  }];
  // [linear-arguments]
  let arguments = (ins Arg<Step_Factors, "x [T, >= K]", [MemRead]>:$x,
                       Arg<Step_Panels, "panels", [MemRead]>:$weight,
                       Arg<Optional<Step_Vector>, "[T]", [MemRead]>:$row_scales,
                       Arg<Optional<Step_Vector>, "[N]", [MemRead]>:$column_scales,
                       Arg<Optional<Step_Vector>, "[N]", [MemRead]>:$bias,
                       Arg<Step_Rows, "[T, N]", [MemRead, MemWrite]>:$out,
                       UnitAttr:$gelu, UnitAttr:$accumulate);
  // [/linear-arguments]
  let assemblyFormat = [{
    $x `,` $weight (`scales` $row_scales^ `,` $column_scales)? (`bias` $bias^)? `into` $out attr-dict
    `:` type($x) `,` type($weight) `,` type($out)
    (`scales` type($row_scales)^ `,` type($column_scales))? (`,` type($bias)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Two neighbours of k lie side by side and are multiplied together.
    bool isPaired() { return !getX().getType().getElementType().isF32(); }
    /// K, rounded up to pairs where there are any.
    int64_t getDepth() { return getWeight().getType().getDimSize(1) * (isPaired() ? 2 : 1); }
    /// nr
    int64_t getPanel() { return getWeight().getType().getDimSize(2) / (isPaired() ? 2 : 1); }
  }];
}

def Transformer_RowsQuantizeOp : Transformer_Op<"rows_quantize"> {
  let summary = "rows as the factors of a product in pairs";
  let description = [{
    Makes `out` from the first K columns of `x`, for a rows_linear in pairs. With
    `scales`, out is i16: `scales[t]` is the greatest magnitude of the row divided
    by `limit`, and `out[t, k]` the integer nearest to `x[t, k] / scales[t]`.
    Without, out is bf16, rounded to nearest even. Columns from K on become 0.
  }];
  let arguments = (ins Arg<Step_Rows, "[T, >= K]", [MemRead]>:$x,
                       Arg<Rows<[BF16, I16]>, "[T, >= K]", [MemWrite]>:$out,
                       Arg<Optional<Step_Vector>, "[T]", [MemWrite]>:$scales,
                       I64Attr:$columns, DefaultValuedAttr<I64Attr, "32767">:$limit);
  let assemblyFormat = [{
    $x `into` $out (`scales` $scales^)? attr-dict `:` type($x) `,` type($out) (`,` type($scales)^)?
  }];
  let hasVerifier = 1;
}

def Transformer_RowsNormOp : Transformer_Op<"rows_norm"> {
  let summary = "layer norm of every row";
  let description = [{
    `out[t] = (x[t] - mean) / sqrt(variance + epsilon) * gamma + beta` over the
    first D columns, D being the size of gamma. Further columns are left alone.
  }];
  let arguments = (ins Arg<Step_Rows, "[T, >= D]", [MemRead]>:$x,
                       Arg<Step_Vector, "[D]", [MemRead]>:$gamma,
                       Arg<Step_Vector, "[D]", [MemRead]>:$beta,
                       Arg<Step_Rows, "[T, >= D]", [MemWrite]>:$out,
                       F32Attr:$epsilon);
  let assemblyFormat = [{
    $x `,` $gamma `,` $beta `into` $out attr-dict
    `:` type($x) `,` type($gamma) `,` type($beta) `,` type($out)
  }];
  let hasVerifier = 1;
}

def Transformer_RowsEmbedOp : Transformer_Op<"rows_embed"> {
  let summary = "token embedding plus position embedding";
  let description = [{
    `out[t] = table[tokens[t]] + wpe[positions[t]]`. The table is the packed one of
    the language-model head (rows_linear), read across its panels, so that a
    tied table is in memory once. `paired` says that it is packed in pairs;
    integers are multiplied by the token's scale.
  }];
  let arguments = (ins Arg<Step_Indices, "[T]", [MemRead]>:$tokens,
                       Arg<Step_Indices, "[T]", [MemRead]>:$positions,
                       Arg<Step_Panels, "panels", [MemRead]>:$table,
                       Arg<Optional<Step_Vector>, "[V]", [MemRead]>:$scales,
                       Arg<Step_Rows, "[positions, D]", [MemRead]>:$wpe,
                       Arg<Step_Rows, "[T, >= D]", [MemWrite]>:$out,
                       UnitAttr:$paired);
  let assemblyFormat = [{
    $tokens `,` $positions `,` $table (`scales` $scales^)? `,` $wpe `into` $out attr-dict
    `:` type($tokens) `,` type($positions) `,` type($table) `,` type($wpe) `,` type($out)
    (`,` type($scales)^)?
  }];
  let hasVerifier = 1;
}

def Transformer_RowsGatherOp : Transformer_Op<"rows_gather"> {
  let summary = "some rows, in the order asked for";
  let description = [{ `out[r, :] = x[rows[r], :]` }];
  let arguments = (ins Arg<Step_Rows, "[T, N]", [MemRead]>:$x,
                       Arg<Step_Indices, "[R]", [MemRead]>:$rows,
                       Arg<Step_Rows, "[R, N]", [MemWrite]>:$out);
  let assemblyFormat = [{
    $x `at` $rows `into` $out attr-dict `:` type($x) `,` type($rows) `,` type($out)
  }];
  let hasVerifier = 1;
}

def Transformer_PagedStoreOp : Transformer_Op<"paged_store"> {
  let summary = "write the keys and values of the batch into the cache";
  let description = [{
    Row t of `qkv` holds a query, a key and a value of H * head_dim numbers each.
    The key and the value go to slot `slots[t]`, that is page `slot / page_size`,
    place `slot % page_size`. Keys are stored transposed, so that one vector holds
    the same coordinate of all keys of a page.
  }];
  let arguments = (ins Arg<Step_Rows, "[T, >= 3 * H * head_dim]", [MemRead]>:$qkv,
                       Arg<Step_Indices, "[T]", [MemRead]>:$slots,
                       Arg<Step_Cache, "[pages, H, head_dim, page_size]", [MemWrite]>:$keys,
                       Arg<Step_Cache, "[pages, H, page_size, head_dim]", [MemWrite]>:$values);
  let assemblyFormat = [{
    $qkv `,` $slots `into` $keys `,` $values attr-dict
    `:` type($qkv) `,` type($slots) `,` type($keys) `,` type($values)
  }];
  let hasVerifier = 1;
}

def Transformer_PagedAttentionOp : Transformer_Op<"paged_attention"> {
  let summary = "causal attention of every row over its sequence's pages";
  let description = [{
    Row t attends to positions 0 to `positions[t]` of sequence `sequences[t]`, whose
    p-th page is `tables[sequences[t], p]`. Pages are visited in order with an online
    softmax, so what a row computes depends on its own sequence alone. Its exp is
    within 1.02 ulp of the true value (accuracy.py looked at every float32 below 0).
  }];
  let arguments = (ins Arg<Step_Rows, "[T, >= H * head_dim]", [MemRead]>:$qkv,
                       Arg<Step_Indices, "[T]", [MemRead]>:$positions,
                       Arg<Step_Indices, "[T]", [MemRead]>:$sequences,
                       Arg<Step_Table, "[S, pages of a sequence]", [MemRead]>:$tables,
                       Arg<Step_Cache, "[pages, H, head_dim, page_size]", [MemRead]>:$keys,
                       Arg<Step_Cache, "[pages, H, page_size, head_dim]", [MemRead]>:$values,
                       Arg<Step_Rows, "[T, >= H * head_dim]", [MemWrite]>:$out);
  let assemblyFormat = [{
    $qkv `,` $positions `,` $sequences `,` $tables `,` $keys `,` $values `into` $out attr-dict
    `:` type($qkv) `,` type($positions) `,` type($sequences) `,` type($tables) `,` type($keys) `,`
    type($values) `,` type($out)
  }];
  let hasVerifier = 1;
}

def Transformer_AppendOp : Transformer_Op<"append", [Pure, InferTypeOpAdaptor]> {
  let summary = "rows after rows";
  let description = [{
    The rows of `past`, then those of `next`, in a new tensor: how a cache of keys
    grows where every value is immutable. It costs a copy of the past.

    ```mlir
    %k = transformer.append %past, %next : tensor<5x8xf32>, tensor<1x8xf32>
    ```
  }];
  let arguments = (ins Transformer_Matrix:$past, Transformer_Matrix:$next);
  let results = (outs Transformer_Matrix:$result);
  let assemblyFormat = "$past `,` $next attr-dict `:` type($past) `,` type($next)";
  let hasVerifier = 1;
}

#endif // CH14_STEP_OPS_TD
