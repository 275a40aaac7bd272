include "mlir/IR/OpBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nn";
}

def NN_Tensor : TensorRankOf<[F32], [1, 2]>;

def NN_ReluOp : Op<NN_Dialect, "relu"> {
  let summary = "the larger of each element and 0";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat =
      "$input attr-dict `:` type($input) `->` type($result)";
}
