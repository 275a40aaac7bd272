// lowering.cpp - one list of passes for the three ways to write saxpy.
//
//   linalg.generic ---> scf.for ---> cf.br --------+
//   vector.transfer_read, vector.create_mask ------+--> llvm.*
//   memref.load, arith.mulf, func.func ------------+
//
// Second step of the chapter. A pass finds nothing to do where a kernel has
// none of its operations. New against ch.1 and ch.2: convert-vector-to-llvm.
#include "ch5/Saxpy.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch5 {

void buildLowering(PassManager &passes) {
  passes.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  passes.addPass(createSCFToControlFlowPass());
  // [vector]
  // Masks become comparisons, transfers become loads and stores of vectors. It
  // makes arith.cmpi, so it comes before the conversion of arith.
  passes.addPass(createConvertVectorToLLVMPass());
  // Before arith too: while the 0 in `memref.dim %A, 0` is an arith.constant,
  // the dimension is a field of the descriptor, and not a look-up in memory.
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  // [/vector]
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

} // namespace ch5
