// lowering.cpp - the way from math, scf and vector to the llvm dialect.
//
//   "polynomial"   math.exp -> math.fma, math.floor, arith.*   our own pass
//                  math.fma -> llvm.intr.fma                   math-to-llvm
//   "llvm"         math.exp -> llvm.intr.exp                   math-to-llvm
//   "libm"         math.exp -> func.call @expf                 math-to-libm
//
// Second step of the chapter. math-to-llvm and math-to-libm both know exp:
// whichever comes first gets it.
#include "ch6/ApproximateMath.h"
#include "ch6/Softmax.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"

#include <stdexcept>

using namespace mlir;

namespace ch6 {

Lowering parseLowering(const std::string &text) {
  if (text == "llvm")
    return Lowering::LLVM;
  if (text == "libm")
    return Lowering::Libm;
  if (text == "polynomial")
    return Lowering::Polynomial;
  throw std::invalid_argument(
      "lowering: expected 'llvm', 'libm' or 'polynomial', got '" + text + "'");
}

void buildLowering(PassManager &passes, Lowering lowering) {
  // [math]
  if (lowering == Lowering::Polynomial)
    passes.addPass(createApproximateMathPass());
  // Both know exp, fma and floor. The first one gets them, the second one
  // gets what the first does not know.
  if (lowering == Lowering::Libm)
    passes.addPass(createConvertMathToLibmPass());
  passes.addPass(createConvertMathToLLVMPass());
  if (lowering != Lowering::Libm)
    passes.addPass(createConvertMathToLibmPass());
  // [/math]

  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  // After math-to-libm, which declares the functions that it calls as
  // func.func.
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

} // namespace ch6
