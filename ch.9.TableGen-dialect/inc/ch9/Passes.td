//===- Passes.td - the passes of ch.9 --------------------------------------===//

#ifndef CH9_PASSES_TD
#define CH9_PASSES_TD

include "mlir/Pass/PassBase.td"

// [to-linalg]
def ToLinalg : Pass<"ch9-to-linalg", "::mlir::ModuleOp"> {
  let summary = "every op of the dialect nn becomes linalg on tensors";
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}
// [/to-linalg]

#endif // CH9_PASSES_TD
