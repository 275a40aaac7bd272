//===- NNOps.td - the ops of the dialect nn --------------------------------===//
//
//   add mul relu       element by element
//   softmax            over the last axis
//   matmul transpose   matrices
//   linear             x @ w.T + b, a layer
//
//===----------------------------------------------------------------------===//

#ifndef CH9_NN_OPS_TD
#define CH9_NN_OPS_TD

include "ch9/NNDialect.td"
include "ch9/NNInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

/// An op that names what it does to one element; the result is typed as `like`.
class NN_ElementwiseOp<string mnemonic, string like, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat(traits, [
        Pure, AllTypesMatch<[like, "result"]>,
        DeclareOpInterfaceMethods<NN_ElementwiseOpInterface, ["buildElement"]>])> {
  let results = (outs NN_Tensor:$result);
}

// [binary]
class NN_BinaryOp<string mnemonic> : NN_ElementwiseOp<mnemonic, "lhs"> {
  let arguments = (ins NN_Tensor:$lhs, NN_Tensor:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
  let hasFolder = 1;
}
// [/binary]

def NN_AddOp : NN_BinaryOp<"add"> {
  let summary = "elementwise sum";
  let description = [{
    `rhs` has the shape of `lhs`, or it is a vector as long as the last axis of
    `lhs` and is added to every row.

    ```mlir
    %y = nn.add %x, %bias : tensor<4x8xf32>, tensor<8xf32>
    ```
  }];
  let hasCanonicalizer = 1;
}

def NN_MulOp : NN_BinaryOp<"mul"> {
  let summary = "elementwise product";
  let description = [{
    Shapes as for `nn.add`.

    ```mlir
    %y = nn.mul %x, %x : tensor<4x8xf32>, tensor<4x8xf32>
    ```
  }];
}

// [relu]
def NN_ReluOp : NN_ElementwiseOp<"relu", "input"> {
  let summary = "the larger of each element and 0";
  let description = [{
    NaN stays NaN.

    ```mlir
    %y = nn.relu %x : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_Tensor:$input);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasFolder = 1;
}
// [/relu]

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

def NN_SoftmaxOp
    : NN_Op<"softmax", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "softmax over the last axis";
  let description = [{
    `exp(x - max) / sum(exp(x - max))` of each row.

    ```mlir
    %p = nn.softmax %x : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

// [matmul]
def NN_MatmulOp : NN_Op<"matmul", [Pure, InferTypeOpAdaptor]> {
  let summary = "matrix product";
  let description = [{
    ```mlir
    %c = nn.matmul %a, %b : tensor<4x8xf32>, tensor<8x16xf32>
    ```
  }];
  let arguments = (ins NN_Matrix:$lhs, NN_Matrix:$rhs);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}
// [/matmul]

def NN_TransposeOp : NN_Op<"transpose", [Pure, InferTypeOpAdaptor]> {
  let summary = "swaps the two axes of a matrix";
  let description = [{
    ```mlir
    %t = nn.transpose %x : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins NN_Matrix:$input);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasFolder = 1;
}

// [linear]
def NN_LinearOp : NN_Op<"linear", [Pure, InferTypeOpAdaptor]> {
  let summary = "a layer: input times the transpose of weight, plus bias";
  let description = [{
    `weight` is [out, in], one row for each output, as PyTorch keeps it.

    ```mlir
    %y = nn.linear %x, %w, %b
        : tensor<4x8xf32>, tensor<16x8xf32>, tensor<16xf32>
    %z = nn.linear %x, %w : tensor<4x8xf32>, tensor<16x8xf32>
    ```
  }];
  let arguments = (ins NN_Matrix:$input, NN_Matrix:$weight,
                       Optional<NN_Vector>:$bias);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = [{
    $input `,` $weight (`,` $bias^)? attr-dict
    `:` type($input) `,` type($weight) (`,` type($bias)^)?
  }];
  let hasVerifier = 1;
}
// [/linear]

#endif // CH9_NN_OPS_TD
