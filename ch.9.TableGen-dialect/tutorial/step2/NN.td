include "mlir/IR/OpBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nn";
}

def NN_ReluOp : Op<NN_Dialect, "relu"> {
  let arguments = (ins AnyType:$input);
  let results = (outs AnyType:$result);
}
