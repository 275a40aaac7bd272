include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nn";
}

def NN_Matrix : 2DTensorOf<[F32]>;
def NN_Tensor : TensorRankOf<[F32], [1, 2]>;

def NN_ReluOp : Op<NN_Dialect, "relu", [
    Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "the larger of each element and 0";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def NN_TransposeOp : Op<NN_Dialect, "transpose", [Pure, InferTypeOpAdaptor]> {
  let summary = "swaps the two axes of a matrix";
  let arguments = (ins NN_Matrix:$input);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
}

def NN_MatmulOp : Op<NN_Dialect, "matmul", [Pure, InferTypeOpAdaptor]> {
  let summary = "matrix product";
  let arguments = (ins NN_Matrix:$lhs, NN_Matrix:$rhs);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
}
