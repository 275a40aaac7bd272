include "mlir/IR/OpBase.td"
include "mlir/IR/PatternBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Pass/PassBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::nn";
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def NN_Matrix : 2DTensorOf<[F32]>;
def NN_Tensor : TensorRankOf<[F32], [1, 2]>;

def NN_CostOpInterface : OpInterface<"CostOpInterface"> {
  let description = "An op that knows how much arithmetic it is.";
  let cppNamespace = "::nn";
  let methods = [InterfaceMethod<
    /*desc=*/[{
      How many operations on floats; nothing where a size is unknown. Unless the
      op says otherwise: one for each element of the result.
    }],
    /*retTy=*/"std::optional<int64_t>", /*methodName=*/"countFlops",
    /*args=*/(ins), /*methodBody=*/"",
    /*defaultImplementation=*/[{
      auto type = llvm::cast<mlir::ShapedType>($_op->getResult(0).getType());
      if (!type.hasStaticShape())
        return std::nullopt;
      return type.getNumElements();
    }]>];
}

def NN_ReluOp : Op<NN_Dialect, "relu", [
    Pure, AllTypesMatch<["input", "result"]>,
    DeclareOpInterfaceMethods<NN_CostOpInterface>]> {
  let summary = "the larger of each element and 0";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasFolder = 1;
}

def NN_TransposeOp : Op<NN_Dialect, "transpose", [Pure, InferTypeOpAdaptor]> {
  let summary = "swaps the two axes of a matrix";
  let arguments = (ins NN_Matrix:$input);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$input attr-dict `:` type($input)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def NN_MatmulOp : Op<NN_Dialect, "matmul", [
    Pure, InferTypeOpAdaptor,
    DeclareOpInterfaceMethods<NN_CostOpInterface, ["countFlops"]>]> {
  let summary = "matrix product";
  let arguments = (ins NN_Matrix:$lhs, NN_Matrix:$rhs);
  let results = (outs NN_Matrix:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs)";
  let hasVerifier = 1;
}

def HasOneUse : Constraint<CPred<"$0.hasOneUse()">, "has one use">;

// transpose(relu(x)) -> relu(transpose(x)): transposes move up, where two of
// them meet and fold away.
def TransposeOfRelu
    : Pat<(NN_TransposeOp (NN_ReluOp:$relu $x)),
          (NN_ReluOp (NN_TransposeOp $x)),
          [(HasOneUse $relu)]>;

def Cost : Pass<"nn-cost", "::mlir::func::FuncOp"> {
  let summary = "says for each op how much arithmetic it is";
  let options = [Option<"atLeast", "at-least", "int64_t", /*default=*/"0",
                        "says nothing of ops with less">];
}
