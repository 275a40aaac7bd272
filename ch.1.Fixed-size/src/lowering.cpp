// lowering.cpp - the way from linalg to the llvm dialect, as a list of passes.
//
//   linalg.matmul -> scf.for -> cf.br -> llvm.br        structure
//   memref.load, arith.mulf, func.func -> llvm.*        the rest
//
// Second step of the chapter. The order is not free: loops must exist before
// they can become branches, and whatever still holds a memref when
// finalize-memref-to-llvm has run is tied to it by a cast that the last pass
// must be able to remove.
#include "ch1/Gemm.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch1 {

// [lowering]
void buildLowering(PassManager &passes) {
  // linalg.matmul becomes three nested scf.for around load, mulf, addf, store.
  passes.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  // scf.for becomes blocks and conditional branches.
  passes.addPass(createSCFToControlFlowPass());
  // Each remaining dialect becomes the llvm dialect.
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  // Pairs of casts between old and new types cancel. One that is left has no
  // translation to LLVM IR, and that is how a missing conversion shows.
  passes.addPass(createReconcileUnrealizedCastsPass());
  // Constants that were made twice are merged: easier to read.
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}
// [/lowering]

} // namespace ch1
