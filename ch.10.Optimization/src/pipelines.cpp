//===- pipelines.cpp - the ladder -----------------------------------------===//
#include "ch10/Passes.h"

#include "ch1/Compat.h"

#include "ch6/ApproximateMath.h"
#include "ch9/Linalg.h"
#include "ch9/Lowering.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/OpenMPToLLVM/ConvertOpenMPToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/SCFToOpenMP/SCFToOpenMP.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Linalg/TransformOps/DialectExtension.h"
#include "mlir/Dialect/Linalg/Transforms/TilingInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/TransformOps/SCFTransformOps.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Dialect/Tensor/IR/TensorTilingInterfaceImpl.h"
#include "mlir/Dialect/Tensor/TransformOps/TensorTransformOps.h"
#include "mlir/Dialect/Transform/IR/TransformDialect.h"
#include "mlir/Dialect/Transform/LoopExtension/LoopExtension.h"
#include "mlir/Dialect/Transform/Transforms/Passes.h"
#include "mlir/Dialect/Vector/TransformOps/VectorTransformOps.h"
#include "mlir/Dialect/Vector/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/Transforms/SubsetOpInterfaceImpl.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/OpenMP/OpenMPToLLVMIRTranslation.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ch10 {

void registerDialects(DialectRegistry &registry) {
  ch9::registerDialects(registry);
  registry.insert<omp::OpenMPDialect, transform::TransformDialect,
                  x86vector::X86VectorDialect>();
  registerOpenMPDialectTranslation(registry);
  ch1::compat::sayWhatPrefetchDoes(registry);
  linalg::registerTilingInterfaceExternalModels(registry);
  linalg::registerTransformDialectExtension(registry);
  scf::registerTransformDialectExtension(registry);
  tensor::registerTilingInterfaceExternalModels(registry);
  tensor::registerTransformDialectExtension(registry);
  transform::registerLoopExtension(registry);
  vector::registerTransformDialectExtension(registry);
  vector::registerBufferizableOpInterfaceExternalModels(registry);
  vector::registerSubsetOpInterfaceExternalModels(registry);
}

static std::unique_ptr<Pass> approximateMath() {
  return ch6::createApproximateMathPass("ch10-approximate-math");
}

void registerPasses() {
  registerPass(createProductsPass);
  registerPass([] { return createPadPass(hostTile()); });
  registerPass([] { return createPackPass(hostTile()); });
  registerPass([] { return createKernelPass(hostTarget()); });
  registerPass(createDropSchedulePass);
  registerPass(approximateMath);
  registerPass(
      [] { return ch9::createCopiesToLoopsPass("ch10-copies-to-loops"); });
  registerPass([] { return createSchedulePass("", hostTile()); });
}

//===----------------------------------------------------------------------===//
// What the rungs are made of
//===----------------------------------------------------------------------===//

/// nn -> linalg on tensors
static void begin(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(ch9::createToLinalg());
}

static void schedule(OpPassManager &pm, StringRef name, const Target &target) {
  pm.addPass(createSchedulePass(name, target.tile));
  pm.addPass(transform::createInterpreterPass());
  pm.addPass(createDropSchedulePass());
}

/// linalg and vectors on tensors -> the llvm dialect
static void finish(OpPassManager &pm, bool threads = false) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  bufferization::buildBufferDeallocationPipeline(
      pm, bufferization::BufferDeallocationPipelineOptions());
  pm.addPass(createConvertBufferizationToMemRefPass());

  pm.addPass(ch9::createCopiesToLoopsPass("ch10-copies-to-loops"));
  // scf.forall says that its turns may come in any order, or at once.
  if (threads)
    pm.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  else
    pm.addNestedPass<func::FuncOp>(createForallToForLoopPass());

  VectorTransferToSCFOptions unrolled;
  unrolled.unroll = true;
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass(unrolled));
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(approximateMath());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(createLoopInvariantCodeMotionPass());
  arith::ArithExpandOpsPassOptions rounding;
  rounding.includeBf16 = true; // by integers: the same bits on every machine
  pm.addPass(arith::createArithExpandOpsPass(rounding));
  if (threads) {
    pm.addPass(createConvertSCFToOpenMPPass());
    pm.addPass(createCanonicalizerPass()); // alloca_scope wants it
  }
  pm.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = true; // the products of bfloat16
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  pm.addPass(createUBToLLVMConversionPass());
  if (threads)
    pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

//===----------------------------------------------------------------------===//
// The rungs
//===----------------------------------------------------------------------===//

static void baseline(OpPassManager &pm, const Target &) {
  begin(pm);
  finish(pm);
}

static void loopOrder(OpPassManager &pm, const Target &target) {
  begin(pm);
  pm.addPass(createProductsPass());
  schedule(pm, "loop-order", target);
  finish(pm);
}

static void fused(OpPassManager &pm, const Target &target) {
  begin(pm);
  pm.addPass(createProductsPass());
  schedule(pm, "loop-order", target);
  pm.addPass(createLinalgElementwiseOpFusionPass());
  finish(pm);
}

static void tiled(OpPassManager &pm, const Target &target) {
  begin(pm);
  pm.addPass(createProductsPass());
  pm.addPass(createLinalgElementwiseOpFusionPass());
  schedule(pm, "tiled", target);
  finish(pm);
}

static void inTiles(OpPassManager &pm, StringRef name, const Target &target,
                    int64_t block = 0) {
  begin(pm);
  pm.addPass(createProductsPass());
  pm.addPass(createPadPass(target.tile, block));
  pm.addPass(createLinalgElementwiseOpFusionPass());
  schedule(pm, name, target);
  finish(pm);
}

static void vectorized(OpPassManager &pm, const Target &target) {
  inTiles(pm, "vectorized", target);
}
static void registers(OpPassManager &pm, const Target &target) {
  inTiles(pm, "registers", target);
}
static void blocked(OpPassManager &pm, const Target &target) {
  inTiles(pm, "blocked", target, /*block=*/64);
}

static void inPanels(OpPassManager &pm, const Target &target, bool packB) {
  begin(pm);
  pm.addPass(createLinalgElementwiseOpFusionPass());
  pm.addPass(createPackPass(target.tile, packB));
  schedule(pm, "packed", target);
  finish(pm);
}

static void packedA(OpPassManager &pm, const Target &target) {
  inPanels(pm, target, /*packB=*/false);
}
static void packed(OpPassManager &pm, const Target &target) {
  inPanels(pm, target, /*packB=*/true);
}

static void optimized(OpPassManager &pm, const Target &target) {
  begin(pm);
  pm.addPass(createLinalgElementwiseOpFusionPass());
  pm.addPass(createKernelPass(target));
  finish(pm, target.threads);
}

llvm::ArrayRef<Pipeline> pipelines() {
  static const Pipeline all[] = {
      {"baseline", "three loops, the sum innermost", baseline},
      {"loop-order", "the sum moves out of the innermost loop", loopOrder},
      {"fused", "elementwise ops in one pass over memory", fused},
      {"tiled", "64 x 64 x 64 at a time, for the caches", tiled},
      {"vectorized", "vectors in the IR, C loaded and stored at each step",
       vectorized},
      {"registers", "a tile of C stays in registers", registers},
      {"blocked", "64 columns of B at a time, for all of A", blocked},
      {"packed-a", "panels of A lie as they are read", packedA},
      {"packed", "panels of A and B lie as they are read", packed},
      {"optimized",
       "what a schedule cannot say: few rows, any rows, ragged "
       "shapes, constants packed once, threads, bfloat16",
       optimized},
  };
  return all;
}

} // namespace ch10
