//===- NNInterfaces.td - what some ops of nn have in common ----------------===//

#ifndef CH9_NN_INTERFACES_TD
#define CH9_NN_INTERFACES_TD

include "mlir/IR/OpBase.td"

// [elementwise]
def NN_ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::nn";
  let description = [{
    An op that computes each element of its result from the elements at the same
    place of its operands. An operand of lower rank is laid over all rows. One
    pattern lowers all such ops: each only says what it does to one element.
  }];
  let methods = [InterfaceMethod<
    /*desc=*/"Builds the element of the result from elements of the operands.",
    /*retTy=*/"::mlir::Value", /*methodName=*/"buildElement",
    /*args=*/(ins "::mlir::ImplicitLocOpBuilder &":$b,
                  "::mlir::ValueRange":$elements)>];
}
// [/elementwise]

#endif // CH9_NN_INTERFACES_TD
